"""Options that commands share: what a run of the lottery depends on."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

TRAINING = "Training"
LOTTERY = "Lottery"

Data = Annotated[
    str | None, typer.Option(help='Dataset folder, or "shapes", the embedded default.')
]
Model = Annotated[
    str | None, typer.Option(help="Pre-trained LXMERT: folder, hub id, or lxmert-shapes.")
]
ModelConfig = Annotated[
    str | None, typer.Option(help="Train from scratch instead: small, base, or a config.json.")
]
Tokenizer = Annotated[
    str | None, typer.Option(help="Tokenizer folder or hub id; else the model's, or a new one.")
]
KeepAnswerHead = Annotated[
    bool | None,
    typer.Option("--keep-answer-head", help="Carry over the answers that both lists share."),
]
PretrainedAnswers = Annotated[
    Path | None, typer.Option(help="Answer list of the pre-trained head, e.g. all_ans.json.")
]
Scope = Annotated[
    str | None,
    typer.Option(
        help="Where one threshold holds: global, layer, modality. [default: global]",
        rich_help_panel=LOTTERY,
    ),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        help="paper: train, prune in steps, train; iterative: train after each step. "
        "[default: paper]",
        rich_help_panel=LOTTERY,
    ),
]
Rewind = Annotated[
    str | None,
    typer.Option(
        help="To θ0 (weights), to early weights (late), or only the learning rate "
        "(lr). [default: weights]",
        rich_help_panel=LOTTERY,
    ),
]
RewindStep = Annotated[
    int | None,
    typer.Option(
        help="With --rewind late: the training step. [default: 5% of them]",
        rich_help_panel=LOTTERY,
    ),
]
EnforceMask = Annotated[
    bool | None,
    typer.Option(
        "--enforce-mask/--no-enforce-mask",
        help="Hold pruned weights at zero while retraining; off, as in the paper's released "
        "code, they grow back: for study only. [default: on]",
        show_default=False,
        rich_help_panel=LOTTERY,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(help="[default: LXMERT's 4; 2 for small]", rich_help_panel=TRAINING),
]
BatchSize = Annotated[
    int | None, typer.Option(help="Questions a step. [default: 32]", rich_help_panel=TRAINING)
]
LearningRate = Annotated[
    float | None,
    typer.Option(help="[default: LXMERT's 5e-5; 2e-4 for small]", rich_help_panel=TRAINING),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        help="Longest question, [CLS] and [SEP] included. [default: 20]",
        rich_help_panel=TRAINING,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(help="auto, fp32 or bf16. [default: auto]", rich_help_panel=TRAINING),
]
Device = Annotated[
    str | None,
    typer.Option(help="auto, cpu, cuda or mps. [default: auto]", rich_help_panel=TRAINING),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that load batches. [default: as the data needs]",
        rich_help_panel=TRAINING,
    ),
]
Tensorboard = Annotated[
    str | None,
    typer.Option(help="Folder to log losses to, for TensorBoard.", rich_help_panel=TRAINING),
]


def given(context: typer.Context, own: Collection[str]) -> dict[str, Any]:
    """The options that were given, by name and ready for a configuration, but a command's `own`."""
    return {
        name.replace("_", "-"): str(value) if isinstance(value, Path) else value
        for name, value in context.params.items()
        if name not in own and value is not None
    }
