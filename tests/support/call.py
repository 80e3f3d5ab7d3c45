"""The type of the `call` fixture."""

from collections.abc import Callable

Call = Callable[..., tuple[int, str, str]]
