"""All of the paper's experiments: `lxcompress sweep`."""
