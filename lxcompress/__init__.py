"""lxcompress: lottery tickets of LXMERT for visual question answering (arXiv 2310.15325)."""

import os

__version__ = "0.1.0"

# Before ONNX Runtime is imported: its official builds else tell Microsoft of their use.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
