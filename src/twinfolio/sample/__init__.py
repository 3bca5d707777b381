"""Synthetic historical Arabic manuscripts, deterministic from a seed."""
