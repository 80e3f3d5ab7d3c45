"""How every session of ONNX Runtime computes on the CPU."""

from __future__ import annotations

import onnxruntime


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return the options of a session with so many threads; 0 for as many as cores."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings are about its own optimisations
    options.intra_op_num_threads = threads
    # A thread that spins while it waits takes a core from other processes, and gains nothing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
