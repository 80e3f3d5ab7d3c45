"""Checks of an exported file: its structure by itself, its weights and answers against a model."""
