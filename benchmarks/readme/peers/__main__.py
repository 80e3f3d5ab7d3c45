"""`python -m benchmarks.readme.peers`."""

from benchmarks.readme.peers.measure import main

main()
