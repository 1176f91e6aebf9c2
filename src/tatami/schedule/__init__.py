"""Decides when to flush, and what lands in which order. No I/O, no clock."""
