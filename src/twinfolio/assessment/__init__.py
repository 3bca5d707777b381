"""Joins store, models and metrics into the tables of ``compare_distances`` and ``evaluate``."""
