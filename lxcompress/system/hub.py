"""Files of the Hugging Face Hub: from its cache, or downloaded into it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lxcompress.errors import ModelError
from lxcompress.system.proxies import explain_proxy

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)


def is_hub_id(name: str) -> bool:
    """Return whether `name` has the form of a repository on the Hub, owner/name."""
    return _HUB_ID.fullmatch(name) is not None


def download(repository: str, patterns: Sequence[str]) -> Path:
    """Return the folder, in the Hub's cache, of the repository's files that match `patterns`.

    Offline it has what was downloaded earlier.

    Raises:
        ModelError: the Hub has no such repository, or cannot be reached and the cache has none.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import RepositoryNotFoundError

    try:
        return Path(snapshot_download(repository, allow_patterns=list(patterns)))
    except RepositoryNotFoundError as problem:
        raise ModelError(
            f"there is no folder {repository}, and the Hugging Face Hub has no model of that name, "
            "or a private one (`hf auth login`)"
        ) from problem
    except Exception as problem:  # its client raises anything from OSError to ValueError
        advice = explain_proxy(problem)
        if advice is None:
            advice = (
                f"{type(problem).__name__}: offline, and not in the cache? connect and try again, "
                "or download its files into a folder and give that"
            )
        raise ModelError(
            f"there is no folder {repository}, and the Hugging Face Hub did not give a model of "
            f"that name: {advice}"
        ) from problem
