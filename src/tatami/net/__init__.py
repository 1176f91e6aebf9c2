"""Sockets: frames over a Unix socket in the state folder."""
