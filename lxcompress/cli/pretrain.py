"""`lxcompress pretrain`: pre-train a small LXMERT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lxcompress.cli import options
from lxcompress.system.shell import lxcompress_command


def pretrain(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder to write the model to.")],
    data: options.Data = None,
    model_config: Annotated[
        str | None, typer.Option(help="small, base, or a config.json. [default: small]")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Start from a model that this command wrote.")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="Tokenizer folder or hub id. [default: a new one]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="[default: 0]")] = None,
    epochs: Annotated[int | None, typer.Option(help="[default: 7]")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Questions per step. [default: 64]")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="[default: 5e-4]")] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Of the weight matrices. [default: 0.01]")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="[default: 20]")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that load batches.")] = None,
    tensorboard: Annotated[
        str | None, typer.Option(help="Folder to log losses to, for TensorBoard.")
    ] = None,
) -> None:
    """Pre-train an LXMERT on a dataset with four of LXMERT's tasks.

    The tasks: masked words, masked region features, matching of picture and question, question
    answering. The embedded lxmert-shapes was pre-trained this way. If it is interrupted or
    killed, the same command continues.

    Example: lxcompress pretrain --data data/shapes-20000 --output models/my-lxmert
    """
    from lxcompress.config import PretrainConfig
    from lxcompress.data.dataset import open_dataset
    from lxcompress.errors import ConfigError, Interrupted
    from lxcompress.system.output_folder import check_writable
    from lxcompress.training.pretraining import pretrain as run

    if output.exists():
        raise ConfigError(f"--output {output} exists already; choose another or remove it")
    config = PretrainConfig.parse(options.given(context, {"output"}))
    check_writable("--output", output.parent)
    try:
        record = run(config, open_dataset(config.data), output)
    except Interrupted as stop:
        raise Interrupted(f"{stop}; the same command again continues") from None
    print(f"model: {output} ({record['parameters']:,} parameters)")
    if record["validation"]:
        accuracy = record["validation"]["accuracy"]["overall"]
        print(f"answers {accuracy:.2f}% of the validation questions before any fine-tuning")
    # A bare name could be the embedded model's.
    folder = f"./{output}" if output == Path(output.name) else output
    print("next: " + lxcompress_command("prune", "--model", folder, "--data", config.data))
