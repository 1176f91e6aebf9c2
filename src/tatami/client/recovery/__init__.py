"""Work that is kept: found again and brought back, taken over from others, handed back to git."""
