"""Verbs that keep work: find it again, take it over, hand it back, say how it stands."""
