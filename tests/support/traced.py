"""Trace each architecture once for all tests: tracing takes ten seconds."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from transformers import LxmertConfig

    from exporters.graph.trace import Graph

FOLDER = "LXCOMPRESS_TESTS_TRACED"
"""The variable of the environment with the folder that the processes of one test run share."""

# What of a configuration changes nothing in the graph: where it was read, names of answers.
_NOT_TRACED = {"_name_or_path", "architectures", "dtype", "id2label", "label2id"}

Build = Callable[["LxmertConfig", Mapping[str, int] | None], "Graph"]


def share_traces() -> None:
    """Replace `build_graph`, for every module that is imported later, by one that remembers."""
    from exporters.graph import trace

    once = remembered(trace.build_graph, Path(os.environ[FOLDER]))
    trace.build_graph = once  # type: ignore[assignment]


def build_again(config: LxmertConfig) -> Graph:
    """Trace, although the graph is remembered."""
    from exporters.graph import trace

    traced: Graph = trace.build_graph.__wrapped__(config)  # type: ignore[attr-defined]
    return traced


def remembered(build: Build, folder: Path) -> Build:
    """Return `build`, with its results in `folder`. They are shared: callers copy to change."""
    in_memory: dict[str, Graph] = {}

    @functools.wraps(build)
    def build_once(config: LxmertConfig, units: Mapping[str, int] | None = None) -> Graph:
        architecture = {k: v for k, v in config.to_dict().items() if k not in _NOT_TRACED}
        key = json.dumps([architecture, sorted((units or {}).items())], sort_keys=True)
        name = hashlib.sha256(key.encode()).hexdigest()
        if name not in in_memory:
            path = folder / name
            with FileLock(f"{path}.lock"):
                if not path.exists():
                    # A process that is killed leaves no part of a file under this name.
                    temporary = path.with_suffix(".tmp")
                    temporary.write_bytes(pickle.dumps(build(config, units)))
                    temporary.replace(path)
            in_memory[name] = pickle.loads(path.read_bytes())
        return in_memory[name]

    return build_once
