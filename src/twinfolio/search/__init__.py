"""Searching params: a declared space, a study that many workers share, and what it found."""
