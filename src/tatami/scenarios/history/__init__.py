"""Real history as concurrent work: reading it, dealing it to agents, writing their shares."""
