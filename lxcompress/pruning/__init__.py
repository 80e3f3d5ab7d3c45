"""Masks, their selection by magnitude, and pruning schedules."""
