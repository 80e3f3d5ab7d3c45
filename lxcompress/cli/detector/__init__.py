"""Commands and options of the bottom-up-attention detector."""
