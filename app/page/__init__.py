"""The demo's page: its layout, its callbacks and the requests that it accepts."""
