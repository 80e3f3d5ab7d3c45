"""Malformed inputs for every command: valid small artefacts, mutated at random.

    PYTHONPATH=tests/support python -m malformed --seed 0 --count 300

Each command runs in a fork of this process, within a time limit. It must end with 0, or with 2 and
one line that says what is wrong, and leave nothing half-written.
"""
