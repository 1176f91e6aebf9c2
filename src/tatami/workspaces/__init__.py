"""Working copies: agents' git worktrees, what changed in them, and making and removing them."""
