"""Measurements: `python -m benchmarks` prints the table of ratios."""
