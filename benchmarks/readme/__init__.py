"""The figures in the README and the docs, and the scripts that measure them."""
