"""What the figures of a report show, as sentences; every one is computed from the report."""
