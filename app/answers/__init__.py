"""From a picture and a question to the answers of both models."""
