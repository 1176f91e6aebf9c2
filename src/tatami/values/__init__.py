"""What everybody shares: ids, paths, errors, limits, specifications. No I/O."""
