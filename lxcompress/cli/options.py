"""Options that commands share: of models, of the detector, and the settings of a run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from lxcompress import choices

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
    str | None,
    typer.Option(help="Tokenizer folder or hub id. [default: the model's, or a new one]"),
]
Answers = Annotated[
    str | None,
    typer.Option(
        help="Answer list of a model without one, in the order of its outputs: a JSON file, "
        "lxmert-vqa or lxmert-gqa. [default: the model's]"
    ),
]
OtherTokenizer = Annotated[
    str | None,
    typer.Option(
        "--tokenizer", help="Tokenizer folder or hub id for a model without one. [default: its own]"
    ),
]
Detector = Annotated[
    str | None,
    typer.Option(
        help="pixel or butd. [default: that of the run's data, or by the model's features]"
    ),
]
DetectorWeights = Annotated[
    str | None,
    typer.Option(
        help="Folder, hub id or exported ONNX file of butd. [default: the published weights]"
    ),
]
DetectorPrecision = Annotated[
    str,
    typer.Option(
        "--detector-precision",
        help="Of butd's convolutions: fp32, bf16, or auto: bf16 on a CPU with instructions for it.",
    ),
]
Proposals = Annotated[
    int,
    typer.Option(help="Proposals of butd, 36 to 300, among which 36 regions are selected."),
]
Screening = Annotated[
    bool,
    typer.Option(
        "--screening/--no-screening",
        help="Let butd judge its proposals by a quarter of their cells, and compute features of "
        "the most promising ones only.",
    ),
]
KeepAnswerHead = Annotated[
    bool | None,
    typer.Option(
        "--keep-answer-head",
        help="Keep the head's weights of the answers that both lists share.",
    ),
]
PretrainedAnswers = Annotated[
    Path | None, typer.Option(help="Answer list of the pre-trained head, e.g. all_ans.json.")
]


def _choice(kind: type[choices.Choice], what: str, default: str) -> Any:
    return typer.Option(help=kind.help(what, default), rich_help_panel=LOTTERY)


_MAGNITUDE, _TAYLOR = choices.Criterion
_THETA0, _LR = choices.Rewind.WEIGHTS, choices.Rewind.LR
_STRUCTURED = choices.Pattern.STRUCTURED

Finetuned = Annotated[
    str | None,
    typer.Option(
        help="Take this fine-tuned LXMERT (folder or hub id) as the dense model instead of "
        "training one. Without --model, only the learning rate is rewound.",
        rich_help_panel=LOTTERY,
    ),
]
Mask = Annotated[
    Path | None,
    typer.Option(
        help="Retrain under this mask (a mask.safetensors) instead of finding one.",
        rich_help_panel=LOTTERY,
    ),
]
FromRun = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Go on from the ticket of this run, with its dense model and data. Its training "
        "settings and rewinding are the defaults.",
        rich_help_panel=LOTTERY,
    ),
]
Speedup = Annotated[
    float | None,
    typer.Option(
        help="Instead of --sparsity: how many times as fast as the dense model, in ONNX Runtime "
        "on this machine's CPU. Needs --pattern structured, its default.",
        rich_help_panel=LOTTERY,
    ),
]
SpeedupPrecision = Annotated[
    str | None,
    typer.Option(
        help="With --speedup: of both files, fp32 (unless given) or int8.",
        rich_help_panel=LOTTERY,
    ),
]
SpeedupBatch = Annotated[
    int | None,
    typer.Option(
        help="With --speedup: questions at once, one unless given.", rich_help_panel=LOTTERY
    ),
]
Pattern = Annotated[
    str | None,
    _choice(choices.Pattern, "What is pruned together", choices.Pattern.UNSTRUCTURED),
]
Criterion = Annotated[
    str | None,
    _choice(
        choices.Criterion,
        "How weights, or heads and neurons, are ranked",
        f"{_MAGNITUDE}; {_STRUCTURED}: {_TAYLOR}",
    ),
]
Control = Annotated[
    bool | None,
    typer.Option(
        "--control/--no-control",
        help="With --rewind lr or late, also compare with the dense model trained as long in "
        "all as the ticket.",
        rich_help_panel=LOTTERY,
    ),
]
Subnetwork = Annotated[
    str | None, _choice(choices.Subnetwork, "Which weights are pruned", choices.Subnetwork.LOW)
]
Scope = Annotated[
    str | None, _choice(choices.Scope, "What is ranked together", choices.Scope.GLOBAL)
]
Schedule = Annotated[
    str | None,
    _choice(choices.Schedule, "How pruning and training alternate", choices.Schedule.PAPER),
]
Rewind = Annotated[
    str | None,
    _choice(
        choices.Rewind, "Where the remaining weights restart", f"{_THETA0}; {_STRUCTURED}: {_LR}"
    ),
]
RewindStep = Annotated[
    int | None,
    typer.Option(
        help="With --rewind late: the training step. [default: 5% of all]",
        rich_help_panel=LOTTERY,
    ),
]
EnforceMask = Annotated[
    bool | None,
    typer.Option(
        "--enforce-mask/--no-enforce-mask",
        help="Keep pruned weights at zero in retraining. Without it they grow back, as in the "
        "paper's released code; for study only. [default: on]",
        show_default=False,
        rich_help_panel=LOTTERY,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        help="Passes over the questions. [default: LXMERT's 4; 2 for small models]",
        rich_help_panel=TRAINING,
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(help="Questions per step. [default: 32]", rich_help_panel=TRAINING)
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        help="Its peak. [default: LXMERT's 5e-5; 2e-4 for small models]", rich_help_panel=TRAINING
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        help="Longest question in tokens, with [CLS] and [SEP]. [default: 20]",
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
        help="Processes that load batches. [default: chosen by the data]",
        rich_help_panel=TRAINING,
    ),
]
Tensorboard = Annotated[
    str | None,
    typer.Option(help="Also log losses to this folder, for TensorBoard.", rich_help_panel=TRAINING),
]


# Parameters that cannot have the option's name.
_OPTIONS = {"from_run": "from"}


def from_file(config: Path | None, output: Path | None) -> tuple[dict[str, Any], Path | None]:
    """Read the settings of `--config`, if given, and the output folder; `output` wins over its own.

    Raises:
        ConfigError: the file is wrong, or its `output:` is not a name.
    """
    from lxcompress.errors import ConfigError
    from lxcompress.system.settings_file import read_settings
    from lxcompress.system.text import check_name

    settings = read_settings(config) if config is not None else {}
    if "output" in settings:
        name = settings.pop("output")
        if output is None:
            if not isinstance(name, str) or not name:
                raise ConfigError(
                    f"--config {config}: output: is not the name of a folder; give one, or leave "
                    "the line out"
                )
            check_name("output", name)
            output = Path(name)
    return settings, output


def given(context: typer.Context, own: Collection[str]) -> dict[str, Any]:
    """Return the options given on the command line, by option name, except the command's `own`."""
    return {
        _OPTIONS.get(name, name).replace("_", "-"): str(value) if isinstance(value, Path) else value
        for name, value in context.params.items()
        if name not in own and value is not None
    }
