"""The demo: a web page that answers questions about a picture."""
