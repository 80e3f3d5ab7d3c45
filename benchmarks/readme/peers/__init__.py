"""Full-size LXMERT beside its peers: `python -m benchmarks.readme.peers`."""
