"""Ours beside the standard library and, where installed, other libraries: each in one run with its peers."""
