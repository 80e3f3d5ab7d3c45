"""Running an exported file."""
