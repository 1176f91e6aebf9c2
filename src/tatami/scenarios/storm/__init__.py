"""Many processes commit to one repository as fast as each gets its answer."""
