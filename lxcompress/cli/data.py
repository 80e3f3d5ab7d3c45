"""`lxcompress data`: make, convert and check datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from lxcompress.cli.detector.detect import detect, print_result
from lxcompress.system.shell import lxcompress_command

app = typer.Typer(no_args_is_help=True, help="Make, convert and check datasets.")

_QUESTIONS = "Questions, a JSON file of VQA v2, VQA-CP, OK-VQA, VizWiz or GQA."
_ANNOTATIONS = "Annotations, a JSON file; VizWiz and GQA have none."
_SAMPLES = "Questions in LXMERT's own JSON format; may be given several times."
_REGIONS = "Folder of regions; may be given several times."
_IMAGES = "Folder of pictures; may be given several times."
_File = Optional[Path]  # noqa: UP045 (typer reads it at run time)
_Several = Optional[list[Path]]  # noqa: UP045

_Output = Annotated[Path, typer.Option("--output", help="Folder to write.")]


@app.command("import")
def import_(
    name: Annotated[str, typer.Option("--name", help="Name of the dataset in reports.")],
    output: _Output,
    train_questions: Annotated[_File, typer.Option(help=_QUESTIONS)] = None,
    train_annotations: Annotated[_File, typer.Option(help=_ANNOTATIONS)] = None,
    lxmert_train: Annotated[_Several, typer.Option(help=_SAMPLES)] = None,
    train_regions: Annotated[_Several, typer.Option(help=_REGIONS)] = None,
    train_images: Annotated[_Several, typer.Option(help=_IMAGES)] = None,
    val_questions: Annotated[_File, typer.Option(help=_QUESTIONS)] = None,
    val_annotations: Annotated[_File, typer.Option(help=_ANNOTATIONS)] = None,
    lxmert_val: Annotated[_Several, typer.Option(help=_SAMPLES)] = None,
    val_regions: Annotated[_Several, typer.Option(help=_REGIONS)] = None,
    val_images: Annotated[_Several, typer.Option(help=_IMAGES)] = None,
    test_questions: Annotated[_File, typer.Option(help=_QUESTIONS)] = None,
    lxmert_test: Annotated[_Several, typer.Option(help=_SAMPLES)] = None,
    test_regions: Annotated[_Several, typer.Option(help=_REGIONS)] = None,
    test_images: Annotated[_Several, typer.Option(help=_IMAGES)] = None,
    answers: Annotated[
        str | None,
        typer.Option(
            help="Answer list: a file, e.g. LXMERT's trainval_label2ans.json, lxmert-vqa or "
            "lxmert-gqa; by default built from train."
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Detector for splits with pictures only: pixel or butd."),
    ] = None,
    min_occurrences: Annotated[
        int,
        typer.Option(min=1, help="How often an answer must occur in train to be listed."),
    ] = 9,
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that is not empty.")
    ] = False,
    skip_broken: Annotated[
        bool,
        typer.Option(
            "--skip-broken",
            help="Leave out pictures that cannot be read, and the questions about them.",
        ),
    ] = False,
) -> None:
    """Make a dataset folder from the files of VQA v2, VQA-CP, OK-VQA, VizWiz, GQA or LXMERT.

    JSON files are checked and copied; pictures and regions stay where they are. Pictures whose
    regions are still to be made are opened.

    Example: lxcompress data import --name vqa-v2 --output data/vqa
    --train-questions v2_OpenEnded_mscoco_train2014_questions.json
    --train-annotations v2_mscoco_train2014_annotations.json --train-regions regions/train2014
    """
    from lxcompress.data.dataset_config import SPLITS, SplitName
    from lxcompress.data.importing import SKIPPED_NAME, import_dataset
    from lxcompress.data.split_source import SplitSource
    from lxcompress.errors import ConfigError
    from lxcompress.model.answer_list import answer_file

    options = {
        "train": (train_questions, train_annotations, lxmert_train, train_regions, train_images),
        "val": (val_questions, val_annotations, lxmert_val, val_regions, val_images),
        "test": (test_questions, None, lxmert_test, test_regions, test_images),
    }
    splits: dict[SplitName, SplitSource] = {}
    for split in SPLITS:
        questions, annotations, samples, regions, images = options[split]
        if any(options[split]):
            splits[split] = SplitSource(
                questions=questions,
                annotations=annotations,
                samples=tuple(samples or ()),
                regions=tuple(regions or ()),
                images=tuple(images or ()),
            )
    if not splits:
        raise ConfigError("nothing to import: give --train-questions, --lxmert-train or others")
    skipped = import_dataset(
        output,
        splits,
        name=name,
        detector=detector,
        answers=None if answers is None else answer_file(answers),
        min_occurrences=min_occurrences,
        force=force,
        skip_broken=skip_broken,
    )
    result = f"dataset {name}: {output}"
    if skipped:
        for picture in skipped:
            typer.echo(f"skipped: {picture.split}: {picture.problem}", err=True)
        left_out = sum(picture.questions for picture in skipped)
        result += (
            f"; {len(skipped)} broken pictures and {left_out} questions about them left out, "
            f"listed in {output / SKIPPED_NAME}"
        )
    print_result(result, lxcompress_command("data", "check", output))


@app.command()
def convert(
    tsv: Annotated[
        Path,
        typer.Argument(
            help="LXMERT's feature file, e.g. train2014_obj36.tsv, or the six-column one of the "
            "original bottom-up attention; also in gzip or zip. - is standard input."
        ),
    ],
    output: _Output,
    max_regions: Annotated[int, typer.Option(min=1, help="Regions per picture at most.")] = 36,
) -> None:
    """Convert a TSV file of region features into a folder of regions.

    Takes little memory, whatever the size of the file. After an interrupt the same command
    continues.

    Example: lxcompress data convert train2014_obj36.tsv --output regions/train2014
    """
    from lxcompress.data.regions.lxmert_tsv import convert_tsv

    store = convert_tsv(tsv, output, max_regions)
    print_result(
        f"regions of {len(store)} pictures ({store.feature_size} features): {output}",
        lxcompress_command("data", "import", "--train-regions", output) + " … --output DATASET",
    )


app.command()(detect)


@app.command("make-shapes")
def make_shapes_(
    output: _Output,
    train_images: Annotated[int, typer.Option(min=1, help="Pictures to train on.")] = 2000,
    val_images: Annotated[int, typer.Option(min=1, help="Pictures to evaluate on.")] = 500,
    test_images: Annotated[int, typer.Option(min=0, help="Test pictures, without answers.")] = 0,
    questions_per_image: Annotated[int, typer.Option(min=1, help="Questions per picture.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same dataset.")] = 0,
) -> None:
    """Generate ShapesVQA: pictures of coloured shapes and questions about them.

    Example: lxcompress data make-shapes --output data/shapes --train-images 500 --val-images 100
    """
    from lxcompress.data.shapes.dataset import make_shapes

    make_shapes(
        output,
        train_images=train_images,
        val_images=val_images,
        test_images=test_images,
        questions_per_image=questions_per_image,
        seed=seed,
    )
    print_result(f"dataset: {output}", lxcompress_command("data", "check", output))


@app.command()
def check(
    data: Annotated[str, typer.Argument(metavar="DIR", help='Dataset folder, or "shapes".')],
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Do not open pictures whose regions are still to be made."),
    ] = False,
) -> None:
    """Check a dataset: files, ids, pictures, region values. The exit code is 2 for problems.

    Example: lxcompress data check data/vqa
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from lxcompress.data.check import check_dataset

    findings = check_dataset(data, quick)
    table = Table("split", "questions", "pictures", "regions")
    for split in findings.splits:
        cells = (split.name, split.questions, split.pictures, split.regions)
        table.add_row(*("-" if cell is None else escape(str(cell)) for cell in cells))
    if findings.splits:
        Console().print(table)
    for note in findings.notes:
        print(f"note: {note}")
    for problem in findings.problems:
        typer.echo(f"problem: {problem}", err=True)
    if findings.problems:
        raise typer.Exit(2)
    result = "no problems" + (" in what --quick checks" if quick else "")
    print_result(result, lxcompress_command("prune", "--data", data))
