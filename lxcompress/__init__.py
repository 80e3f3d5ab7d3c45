"""lxcompress: lottery tickets of LXMERT for visual question answering (arXiv 2310.15325)."""

__version__ = "0.1.0"
