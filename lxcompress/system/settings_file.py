"""Settings in a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lxcompress.errors import ConfigError
from lxcompress.system.files import check_regular, read_text


def read_settings(path: Path) -> dict[str, Any]:
    """Read settings from a YAML file whose keys are option names, with dashes or underscores.

    Values are texts, or None; `parse` gives them their types.

    Raises:
        ConfigError: the file is missing, no regular file, not YAML, or not a mapping.
    """
    check_regular(path, ConfigError)
    try:
        settings = yaml.load(read_text(path), _TextLoader)
    except OSError as problem:
        raise ConfigError(f"cannot read --config {path}: {problem.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        first = str(problem).replace("\n", " ")
        raise ConfigError(f"--config {path} is not valid YAML: {first}") from None
    except RecursionError:
        raise ConfigError(f"--config {path} is nested too deeply") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"--config {path} must map option names to values")
    return {str(key).replace("_", "-"): value for key, value in settings.items()}


class _TextLoader(yaml.SafeLoader):
    """Leaves plain values texts: YAML 1.1 reads the name 2024 as a number and 1e-4 as none."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
