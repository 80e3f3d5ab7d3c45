"""Measuring latency, loading and memory, and the statistics of the samples.

What is measured are files, sessions and callables; runs and variants are known to the callers.
"""
