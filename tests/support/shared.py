"""Check data that lie beside the checkout; tests skip where they are absent."""

from pathlib import Path

SHARED = Path(__file__).resolve().parents[3] / "shared"
