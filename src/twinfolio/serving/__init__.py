"""The model as a tool: images, indexes and queries, without torch."""
