"""Datasets: their questions, answers and regions, and batches for a model."""
