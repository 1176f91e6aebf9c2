"""Carries out `undo` and `op restore`: new operations that put lines back, never an op revert."""
