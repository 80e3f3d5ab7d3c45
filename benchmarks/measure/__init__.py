"""Measuring latency, loading and memory, and the statistics of samples."""
