"""Decides what bytes mean, what has been answered before, and who is told. No I/O, no clock."""
