"""Questions and answers: file formats, answer lists, and the official normalisation."""
