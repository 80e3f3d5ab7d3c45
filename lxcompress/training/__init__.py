"""Training loops, their checkpoints and logs, and where training starts."""
