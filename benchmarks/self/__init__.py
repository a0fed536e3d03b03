"""Ours against ours of another day, by pyperf's own comparison."""
