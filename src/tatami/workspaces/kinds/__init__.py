"""Kinds of workspaces besides the plain checkout: overlays over a shared tree, and sparse ones."""
