"""`lxcompress pack` and `lxcompress unpack`: store a ticket without its zeros, and restore it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lxcompress.system.shell import lxcompress_command


def pack(
    model: Annotated[Path, typer.Argument(help="Ticket: the ticket/ folder of a run.")],
    output: Annotated[Path, typer.Option(help="Folder to write the packed ticket to.")],
) -> None:
    """Store a ticket without its zeros, for upload or download. Nothing else changes.

    Weights and mask become one bit for each prunable weight, and the remaining values. Before the
    packed folder appears, both files are restored from it and compared by SHA-256.

    Example: lxcompress pack runs/shapes-low-50/ticket --output shapes-low-50-packed
    """
    from exporters.packing.pack import pack as pack_folder

    sizes = pack_folder(model, output)
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
    """Restore a packed ticket to the byte, which its SHA-256 confirms.

    The result is the Hugging Face model folder, with the mask, that the run wrote.

    Example: lxcompress unpack shapes-low-50-packed --output ticket
    """
    from exporters.packing.pack import unpack as unpack_folder

    sizes = unpack_folder(packed, output)
    print(f"ticket: {output}, weights and mask {sizes['dense'] / 1e6:.2f} MB")
    print("next: " + lxcompress_command("evaluate", output))
