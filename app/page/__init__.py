"""What the demo's page shows, and what it accepts."""
