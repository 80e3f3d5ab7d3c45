"""`lxcompress evaluate`: the accuracy of a model, or its predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from lxcompress.cli.options import Answers, OtherTokenizer


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder (a run's ticket/ or dense/), hub id, or exported .onnx file."
        ),
    ],
    answers: Answers = None,
    tokenizer: OtherTokenizer = None,
    data: Annotated[
        str, typer.Option(help='Dataset folder, or "shapes", the embedded default.')
    ] = "shapes",
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    predictions: Annotated[
        Path | None,
        typer.Option(help="Write the answers here, as an official result file (EvalAI takes it)."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write overall, perAnswerType and perQuestionType here."),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=3, help="Longest question, [CLS] and [SEP] included.")
    ] = 20,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that load batches.")] = None,
) -> None:
    """Measure a model on a split, by the metric of its dataset.

    That is VQA v2 accuracy; GQA's accuracy for GQA, LXMERT's soft score for its own labels. For a
    split without answers (test), only predictions can be written.

    Example: lxcompress evaluate runs/shapes-low-50/ticket --predictions answers.json
    """
    import torch
    from rich.console import Console

    from lxcompress.cli.score import check_outputs, score_table
    from lxcompress.config import Device
    from lxcompress.data.batches import EncodedQuestions
    from lxcompress.data.dataset import open_dataset
    from lxcompress.data.questions.question import can_be_scored
    from lxcompress.errors import ConfigError, ModelError
    from lxcompress.evaluation.predict import predict
    from lxcompress.evaluation.scoring import score, write_results
    from lxcompress.model.source import ModelSource
    from lxcompress.run import Run
    from lxcompress.system.files import write_json
    from lxcompress.system.machine.device import resolve_device
    from lxcompress.ticket import is_ticket, load_mask
    from lxcompress.training.start_weights import check_fit

    for option, value, known in (
        ("split", split, ("train", "val", "test")),
        ("device", device, get_args(Device)),
    ):
        if value not in known:
            raise ConfigError(f"--{option} {value}: choose {', '.join(known)}")
    check_outputs((), (predictions, json_file))
    run = Run(Path(model))
    if run.exists():
        raise ModelError(f"{model} is a run directory; give one of its models, e.g. {run.ticket}")
    if Path(model).suffix == ".onnx" and (answers or tokenizer):
        raise ConfigError(f"{model} has its own answers; leave out --answers and --tokenizer")
    dataset = open_dataset(data)
    if split not in dataset.splits:
        raise ConfigError(f"--split {split}: {dataset.name} has no such split")
    questions = dataset.questions(split)
    has_answers = can_be_scored(questions)
    if not has_answers and (predictions is None or json_file is not None):
        raise ConfigError(
            f"the {split} questions have no answers to score against; give --predictions FILE, "
            "which writes the model's, and no --json"
        )
    if Path(model).suffix == ".onnx":
        from exporters.runtime.predict_split import predict_split

        on = "cuda" if resolve_device(device) == "cuda" else "cpu"
        found = predict_split(Path(model), dataset, split, on, workers)
    else:
        source = ModelSource.open(model, answers, tokenizer)
        loaded = source.load_model()
        if is_ticket(source.folder):
            mask = load_mask(source.folder, loaded)
            print(f"ticket: {100 * mask.sparsity:.1f}% of the prunable weights are zero")
        words = source.load_tokenizer()
        check_fit(loaded.config, dataset, [split], words, max_tokens)
        dataset.prepare_regions(split)
        encoded = EncodedQuestions(
            questions, dataset.split(split).regions, words, max_tokens=max_tokens
        )
        found = predict(loaded, encoded, torch.device(resolve_device(device)), workers=workers)
    if predictions is not None:
        write_results(predictions, found)
        print(f"predictions: {predictions}")
    if has_answers:
        scored = score(found, questions)
        if json_file is not None:
            write_json(json_file, scored.official())
        Console().print(score_table(scored, questions))
