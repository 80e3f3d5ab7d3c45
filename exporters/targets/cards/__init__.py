"""Model cards: the README.md of a model repository on the Hugging Face Hub."""
