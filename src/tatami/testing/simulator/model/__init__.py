"""The hub of the simulation: the real deciders and the real record, around them what stands in."""
