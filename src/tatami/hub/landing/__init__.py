"""Lands what is queued: when, how, and on what proof."""
