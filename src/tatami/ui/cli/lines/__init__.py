"""What moves agents' lines: commit, sync, undo, and restoring all of them."""
