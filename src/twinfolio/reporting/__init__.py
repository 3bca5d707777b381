"""The edge that writes: every metrics file, table, figure and report."""
