"""Measurements of size, latency and accuracy."""
