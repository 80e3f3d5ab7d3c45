"""Predictions of a model, and their official scores."""
