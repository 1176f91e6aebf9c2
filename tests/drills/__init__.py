"""Long drills; each also runs in a small size as a test."""
