"""Embedding and ranking on arrays: knows neither where images come from nor which net embeds them."""
