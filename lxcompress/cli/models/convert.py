"""`lxcompress convert`: a checkpoint of LXMERT's own code as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lxcompress.cli.options import Answers
from lxcompress.system.shell import lxcompress_command

if TYPE_CHECKING:
    from lxcompress.conversion.convert import Conversion


def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="State dict of LXMERT's own code, e.g. BEST.pth, Epoch20_LXRT.pth."),
    ],
    output: Annotated[Path, typer.Option(help="New folder for the Hugging Face model.")],
    answers: Answers = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="Tokenizer folder or hub id. [default: LXMERT's, from the Hub]"),
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(min=1, help="Attention heads. [default: hidden size / 64, as in BERT]"),
    ] = None,
) -> None:
    """Turn a checkpoint of LXMERT's own code into a Hugging Face folder.

    Fine-tuned for VQA or GQA (`lxrt_encoder.…`, `logit_fc.…`), or pre-trained (`bert.…`). Masks of
    torch.nn.utils.prune become mask.safetensors, as a ticket has it. The file is read as weights
    only: code in it is not run.

    Example: lxcompress convert BEST.pth --answers lxmert-vqa --output lxmert-vqa
    """
    from lxcompress.conversion.convert import convert as convert_checkpoint

    done = convert_checkpoint(checkpoint, output, answers=answers, tokenizer=tokenizer, heads=heads)
    for line in _describe(done):
        print(line)
    print(f"model: {output}")
    print("next: " + _next(done, output))


def _describe(done: Conversion) -> list[str]:
    config = done.config
    layers = f"{config.l_layers} language, {config.r_layers} vision, {config.x_layers} cross"
    answers = f", {config.num_qa_labels} answers" if config.task_qa else ""
    lines = [
        f"{done.kind}: {layers} layers of {config.hidden_size} with {config.num_attention_heads} "
        f"heads{answers}"
    ]
    if done.mask is not None:
        lines.append(f"mask: {100 * done.mask.sparsity:.1f}% of the prunable weights are pruned")
    for names, what in (
        (done.left_over, "left over, not in the model"),
        (done.unmasked, "pruned, but not prunable here: zeros in the weights, not in the mask"),
    ):
        if names:
            lines.append(f"{what}: {', '.join(names)}")
    if config.task_qa and not done.has_answers:
        lines.append("no answer list: give --answers here, or to the commands that read the model")
    if not done.has_tokenizer:
        lines.append("no tokenizer: give --tokenizer here, or to the commands that read the model")
    return lines


def _next(done: Conversion, output: Path) -> str:
    if done.kind == "fine-tuned":
        return lxcompress_command("evaluate", output, "--data", "DATA")
    return lxcompress_command("prune", "--model", output, "--data", "DATA")
