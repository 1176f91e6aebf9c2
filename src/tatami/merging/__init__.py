"""Decides what a merge should be, or that it should be left to its authors. No I/O."""
