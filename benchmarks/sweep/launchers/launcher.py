"""Choose where the runs of a sweep are executed, and how many at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from benchmarks.sweep.launchers.local_processes import run_in_processes
from benchmarks.sweep.launchers.ray_cluster import LOCAL, check_ray, run_on_ray
from benchmarks.sweep.launchers.worker import Outcome
from benchmarks.sweep.plan import Plan, Task
from lxcompress.errors import ConfigError


@dataclass(frozen=True)
class Launcher:
    """Executes tasks on this machine, or on the Ray cluster at the address `ray`.

    `jobs` is the number of runs at a time on this machine; None means one for each GPU, or as many
    as the processors have threads for.
    """

    jobs: int | None = None
    ray: str | None = None

    @property
    def is_remote(self) -> bool:
        """Whether the runs are executed on machines that this process cannot inspect."""
        return self.ray not in (None, LOCAL)

    def check(self, plan: Plan) -> None:
        """Check that the plan can be launched.

        Raises:
            ConfigError: Ray is missing or unreachable, or a remote cluster is combined with
                `jobs`, or with a device or precision that only its machines could resolve.
        """
        if self.ray is not None:
            check_ray(self.ray)
        if not self.is_remote:
            return
        if self.jobs is not None:
            raise ConfigError("--jobs is for this machine; a Ray cluster takes as many as fit")
        device, precision = plan.shared["device"], plan.shared["precision"]
        if device not in ("cpu", "cuda") or (device == "cuda" and precision == "auto"):
            raise ConfigError(
                f"--ray {self.ray}: its machines are not known here; give --device cpu, or "
                "--device cuda with --precision bf16 or fp32"
            )

    def launch(self, tasks: Sequence[Task], device: str) -> Iterator[Outcome]:
        """Execute the tasks on `device`; yield the outcome of each as it finishes."""
        threads = tasks[0].threads
        if self.ray is not None and self.is_remote:
            gpus_per_task = 1.0 if device == "cuda" else 0.0
            return run_on_ray(tasks, self.ray, threads=threads, gpus=gpus_per_task)
        gpus = visible_gpus() if device == "cuda" else []
        # An Apple machine has one GPU.
        default = len(gpus) or (1 if device == "mps" else (os.cpu_count() or 1) // threads)
        jobs = min(self.jobs or max(1, default), len(tasks))
        if self.ray is not None:
            share = min(1.0, len(gpus) / jobs)  # several runs may share a GPU
            return run_on_ray(tasks, self.ray, threads=threads, gpus=share, cpus=jobs * threads)
        return run_in_processes(tasks, jobs, gpus)


def visible_gpus() -> list[str]:
    """Return the usable GPUs, named as in CUDA_VISIBLE_DEVICES."""
    count = torch.cuda.device_count()  # CUDA ignores all names after the first invalid one
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[:count] if visible else [str(index) for index in range(count)]
