"""The hub's side that faces its clients: connections, and the questions they ask."""
