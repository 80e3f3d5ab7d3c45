"""`lxcompress score`: the official accuracy of a result file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from lxcompress.data.questions.question import Question
    from lxcompress.evaluation.scoring import Score


def score(
    results: Annotated[
        Path, typer.Argument(help='Result file: [{"question_id": 1, "answer": "yes"}, …].')
    ],
    questions: Annotated[
        Path, typer.Option("--questions", help="Questions file: VQA v2's, VizWiz's or GQA's.")
    ],
    annotations: Annotated[
        Path | None,
        typer.Option("--annotations", help="Annotations file; VizWiz and GQA have none."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write overall, perAnswerType and perQuestionType here."),
    ] = None,
    per_question_file: Annotated[
        Path | None,
        typer.Option("--per-question", help="Write {question id: accuracy in percent} here."),
    ] = None,
) -> None:
    """Score a result file with the official VQA v2 accuracy, or GQA's.

    Its question ids must be exactly those of the questions. VizWiz's are the names of its pictures.

    Example: lxcompress score results.json --questions questions.json --annotations annotations.json
    """
    from rich.console import Console

    from lxcompress.data.questions.formats import read_questions
    from lxcompress.evaluation.scoring import read_results, score_results
    from lxcompress.system.files import write_json

    inputs = (results, questions, *([annotations] if annotations else ()))
    check_outputs(inputs, (json_file, per_question_file))
    predictions = read_results(results)
    rows = read_questions(questions, annotations)
    scored = score_results(predictions, rows)
    if json_file is not None:
        write_json(json_file, scored.official())
    if per_question_file is not None:
        write_json(per_question_file, scored.official_per_question())
    Console().print(score_table(scored, rows))


def check_outputs(inputs: tuple[Path, ...], outputs: tuple[Path | None, ...]) -> None:
    """Raise ConfigError for an output that is a folder or is named twice."""
    from lxcompress.errors import ConfigError
    from lxcompress.system.output_folder import check_writable

    taken = {path.resolve() for path in inputs}
    for output in outputs:
        if output is None:
            continue
        if output.is_dir():
            raise ConfigError(f"output is a folder: {output}: give the name of a file")
        if output.resolve() in taken:
            raise ConfigError(f"{output} is named twice: give each output a file of its own")
        check_writable("output", output.parent)
        taken.add(output.resolve())


def score_table(scored: Score, questions: list[Question]) -> Table:
    """Accuracy overall, by answer type and by question type, as a `rich` table."""
    from collections import Counter

    from rich.markup import escape
    from rich.table import Table

    from lxcompress.evaluation.scoring import ANSWER_TYPES

    table = Table("", title=scored.metric)
    table.add_column("questions", justify="right")
    table.add_column("accuracy %", justify="right")
    table.add_row("overall", str(scored.questions), f"{scored.overall:.2f}", end_section=True)

    answer_types = Counter(question.answer_type for question in questions)
    paper_order = sorted(
        scored.per_answer_type,
        key=lambda name: ANSWER_TYPES.index(name) if name in ANSWER_TYPES else len(ANSWER_TYPES),
    )
    for name in paper_order:
        percent = scored.per_answer_type[name]
        table.add_row(escape(name), str(answer_types[name]), f"{percent:.2f}")
    table.add_section()

    question_types = Counter(question.question_type for question in questions)
    most_frequent = sorted(scored.per_question_type, key=lambda name: (-question_types[name], name))
    for name in most_frequent:
        percent = scored.per_question_type[name]
        table.add_row(escape(name), str(question_types[name]), f"{percent:.2f}")
    return table
