"""Answer a question about a picture with the ticket and the dense model."""
