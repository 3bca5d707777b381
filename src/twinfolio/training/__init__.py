"""Training: the Trainer as this project configures it, checkpoints, resuming, and the two training jobs."""
