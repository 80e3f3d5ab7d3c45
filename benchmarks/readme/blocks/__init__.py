"""The Markdown of each measured block in README.md and docs/, from its file in results/."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.readme.blocks.jobs import (
    iterative_90,
    main_job_easy_vqa,
    main_job_shapes,
    pretraining_phases,
)
from benchmarks.readme.blocks.speed import browser, busy_machine, detector, onnx_files, peers, speed
from benchmarks.readme.blocks.sweeps import (
    protocol,
    structured_iterative,
    structured_sweep,
    sweep,
    sweep_time,
)

# By the name in the marker `<!-- measured: NAME -->`.
BLOCKS: dict[str, Callable[[], str]] = {
    block.__name__: block
    for block in (
        sweep,
        sweep_time,
        protocol,
        structured_sweep,
        structured_iterative,
        iterative_90,
        main_job_shapes,
        main_job_easy_vqa,
        pretraining_phases,
        onnx_files,
        speed,
        peers,
        browser,
        detector,
        busy_machine,
    )
}
