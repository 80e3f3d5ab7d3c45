"""How weights are stored in an exported file."""
