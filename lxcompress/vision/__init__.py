"""Object detection: from a picture to its region features."""
