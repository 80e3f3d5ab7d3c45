"""ShapesVQA, the generated dataset of the embedded default."""
