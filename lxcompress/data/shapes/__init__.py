"""ShapesVQA, the generated dataset that is the embedded default."""
