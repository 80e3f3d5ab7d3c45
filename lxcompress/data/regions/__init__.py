"""Region features on disk: made, converted, written and read."""
