"""Undoing in the client: the line goes back in the hub, index and files follow here."""
