"""Disk: the repository and its operation log, the hub's ledger, the trunk in git, their check."""
