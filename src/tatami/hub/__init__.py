"""The hub: the one process that writes a repository. Owns the parts, the tasks and the clock."""
