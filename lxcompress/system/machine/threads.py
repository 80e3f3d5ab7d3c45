"""CPU threads: one for a small model, all cores for a large one.

Threads that wait for each other spin. If another process needs one of the cores, the thread with
work to do waits for a core on which another one spins, and a small model, whose operations take
microseconds, becomes ten to a hundred times slower. One thread waits for nobody, and on an idle
machine it costs a small model little (`benchmarks.readme.busy_machine` measures both). The number
depends on the model only, never on the load, because it changes the last bits of the results.
"""

from __future__ import annotations

import os
from functools import cache

SMALL_MODEL = 10_000_000  # parameters
# Users' own choices, which PyTorch reads when it is imported.
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def threads_for(parameters: int) -> int | None:
    """Return the CPU threads for a model of so many parameters; None means all cores."""
    return 1 if parameters < SMALL_MODEL else None


def set_torch_threads(parameters: int) -> None:
    """Let PyTorch compute with `threads_for(parameters)`, unless the user has chosen a number.

    A choice is the environment variable OMP_NUM_THREADS or MKL_NUM_THREADS, or `choose_threads`.
    """
    import torch  # not needed by ONNX Runtime's users of `threads_for`

    if not any(os.environ.get(variable) for variable in _VARIABLES):
        default = _default_torch_threads()
        torch.set_num_threads(threads_for(parameters) or default)


@cache
def _default_torch_threads() -> int:
    """Return PyTorch's own number, as it was when this was first called."""
    import torch

    return torch.get_num_threads()


def choose_threads(threads: int) -> None:
    """Let PyTorch compute with this many threads from now on, whatever the model."""
    import torch

    os.environ[_VARIABLES[0]] = str(threads)  # also for processes that this one starts
    torch.set_num_threads(threads)
