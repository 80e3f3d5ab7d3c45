"""A ticket compared with the dense model, or a model's files with PyTorch: `lxcompress bench`."""
