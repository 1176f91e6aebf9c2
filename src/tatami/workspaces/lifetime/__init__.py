"""How workspaces come to be, and how they go."""
