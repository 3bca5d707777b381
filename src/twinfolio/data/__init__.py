"""From image files to the manifest, the store and batches."""
