"""lxcompress: lottery tickets of LXMERT for visual question answering (arXiv 2310.15325)."""

import os

__version__ = "0.1.0"

# Read when ONNX Runtime is imported, whose official builds else tell Microsoft of their use (Privacy.md in its package).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
