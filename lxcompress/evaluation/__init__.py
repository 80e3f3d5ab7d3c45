"""A model's predictions and their official scores."""
