"""Store the folder of a ticket without its zeros, and restore it to the byte."""
