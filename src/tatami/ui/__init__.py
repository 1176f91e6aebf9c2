"""Faces: they parse, call, print. The only room that reads arguments and the environment."""
