"""The errors that lxcompress raises for its users.

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
    """Base of all errors; the message is written for the person at the terminal."""


class ConfigError(LxcompressError):
    """An option or a configuration file is wrong."""


class DataError(LxcompressError):
    """A data file is missing, truncated or of another form."""


class ModelError(LxcompressError):
    """A model folder, a mask or a weight file does not fit."""


class RunError(LxcompressError):
    """A run directory belongs to another run or is incomplete."""


class DeviceError(LxcompressError):
    """The requested device or precision is not available on this machine."""


class Interrupted(Exception):
    """Stopped by the user; the message says how to continue."""
