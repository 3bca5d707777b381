"""Twinfolio: from a folder of labelled images to a tracked classifier, similarity model and report."""

__version__ = "0.1.0"
