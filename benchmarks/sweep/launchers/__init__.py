"""How the runs of a sweep are executed: in local processes or on a Ray cluster."""
