"""Accuracy over latency of the files of several runs: `lxcompress frontier`."""
