"""What the lottery does in, between and besides the five steps of the paper."""
