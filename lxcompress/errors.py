"""Every error that lxcompress raises on purpose.

    LxcompressError          exit code 2: the input or the environment is wrong
    ├── ConfigError          an option or a configuration file
    ├── DataError            a question, annotation, region, picture or dataset file
    ├── ModelError           a model folder, a mask, or weights that do not fit
    ├── RunError             a run directory
    └── DeviceError          a device or precision that this machine does not have
    Interrupted              exit code 130: stopped by Ctrl-C, the same command continues

Each message is one line: what is wrong, where, and what to do.
"""


class LxcompressError(Exception):
    """Base of all errors; its text is meant for the person at the terminal."""


class ConfigError(LxcompressError):
    """An option or a configuration file is wrong."""


class DataError(LxcompressError):
    """A data file is missing, truncated, or does not say what it should."""


class ModelError(LxcompressError):
    """A model folder, a mask or a weight file does not fit."""


class RunError(LxcompressError):
    """A run directory belongs to something else or lacks a part."""


class DeviceError(LxcompressError):
    """A device or precision was asked for that this machine does not have."""


class Interrupted(Exception):
    """Stopped by the user; the message says how to continue."""
