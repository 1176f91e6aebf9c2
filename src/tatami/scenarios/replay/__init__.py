"""Replays real history as if K agents had made K consecutive changes at the same time."""
