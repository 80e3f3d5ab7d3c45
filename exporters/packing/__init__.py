"""A ticket's folder without its zeros, and back to the byte."""
