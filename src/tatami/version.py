"""The release; pyproject and Cargo carry the same."""

VERSION = "0.1.0"
