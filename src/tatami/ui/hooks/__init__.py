"""What git and other hosts call."""
