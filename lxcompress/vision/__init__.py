"""Detectors: from a picture to its regions."""
