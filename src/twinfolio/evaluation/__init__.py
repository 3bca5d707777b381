"""Metrics, protocols and their uncertainty as pure functions on NumPy arrays."""
