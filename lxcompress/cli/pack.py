"""`lxcompress pack` and `lxcompress unpack`: a ticket without its zeros, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lxcompress.system.shell import lxcompress_command


def pack(
    model: Annotated[Path, typer.Argument(help="Ticket: the ticket/ folder of a run.")],
    output: Annotated[Path, typer.Option(help="Folder to write the packed ticket to.")],
) -> None:
    """Make a ticket small enough to travel: its zeros are left out, nothing else changes.

    The weights and the mask become one bit for each prunable weight and the values that are left.
    Before the folder appears, it is proved to give both files back to the byte.

    Example: lxcompress pack runs/shapes-low-50/ticket --output shapes-low-50-packed
    """
    from exporters.packing.pack import pack as write

    sizes = write(model, output)
    change = 100 * (sizes["packed"] / sizes["dense"] - 1)
    print(
        f"packed: {output}, weights and mask {sizes['dense'] / 1e6:.2f} MB before, "
        f"{sizes['packed'] / 1e6:.2f} MB now ({change:+.1f}%)"
    )
    print("next: " + lxcompress_command("unpack", output, "--output", "MODEL"))


def unpack(
    packed: Annotated[Path, typer.Argument(help="Folder that `lxcompress pack` wrote.")],
    output: Annotated[Path, typer.Option(help="Folder to write the ticket to.")],
) -> None:
    """Restore a packed ticket to the byte; its SHA-256 proves it.

    What comes out is a Hugging Face model folder with a mask, as the run made it.

    Example: lxcompress unpack shapes-low-50-packed --output ticket
    """
    from exporters.packing.pack import unpack as write

    sizes = write(packed, output)
    print(f"ticket: {output}, weights and mask {sizes['dense'] / 1e6:.2f} MB as they were packed")
    print("next: " + lxcompress_command("evaluate", output))
