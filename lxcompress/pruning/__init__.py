"""Which weights go: masks, their selection by magnitude, and pruning schedules."""
