"""The page that answers questions about a picture."""
