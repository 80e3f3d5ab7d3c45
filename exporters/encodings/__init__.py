"""How weights are stored in an exported file; `base` draws how the files work together."""
