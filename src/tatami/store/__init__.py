"""Disk: the repository with its operation log, the hub's ledger, the trunk in git, and its check."""
