"""The classical systems: key points, visual words, hashes and matching, on arrays alone."""
