"""Trunks, embedders, heads, losses and the folder a trained model lives in."""
