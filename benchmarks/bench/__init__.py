"""What a ticket costs and gains: `lxcompress bench`."""
