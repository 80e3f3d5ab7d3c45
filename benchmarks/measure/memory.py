"""Memory of this process."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_bytes() -> int:
    """The largest resident set that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage's maximum begins with that of the parent process
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(fields["VmHWM"].split()[0])
    import resource  # not on Windows, where all other commands do run

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
