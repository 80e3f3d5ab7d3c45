"""A ticket compared with the dense model: `lxcompress bench`."""
