"""Mending a repository: nothing is deleted, what is broken is set aside."""
