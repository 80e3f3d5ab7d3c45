"""`lxcompress export`: files are written once, checked, resumed, and removed if they fail."""

import errno
import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml
from exported import FILES, in_onnx, in_pytorch, some_inputs
from exports import (
    Command,
    export_run,
    file_names,
    flip_bit_of_weight,
    modification_times,
    read_report,
    retrain,
)
from processes import Script
from transformers import LxmertForQuestionAnswering

from exporters import export as module
from exporters.export import compare
from exporters.graph.onnx_file import OnnxFile
from exporters.records import ExportReport
from exporters.source import Source
from exporters.variants import VARIANTS
from exporters.verify.answers import LOGIT_TOLERANCE
from lxcompress.data.dataset import open_dataset
from lxcompress.errors import ModelError
from lxcompress.system.files import sha256

DENSE, SPARSE = [*FILES][:3], [*FILES][3:]
PRUNED = "lxmert.pooler.dense.weight"


# -- Files that are written -------------------------------------------------------------------


def test_all_files_of_a_run(tiny_exported: Path, tiny_data: Path) -> None:
    folder = tiny_exported / "onnx"
    assert file_names(folder) == {*FILES.values(), "export.json"}
    files = read_report(tiny_exported)["files"]
    assert list(files) == list(FILES.values())
    for name, file in FILES.items():
        record, path = files[file], folder / file
        precision = name.removeprefix("sparse-")
        assert (record["variant"], record["precision"]) == (name, precision)
        assert record["encoding"] == ("bitmask" if name.startswith("sparse") else "dense")
        assert record["bytes"] == path.stat().st_size and record["sha256"] == sha256(path)
        assert record["questions"] == 120
        assert record["relative_logit_difference"] < LOGIT_TOLERANCE[precision]
        assert (record["largest_weight_difference"] == 0) == (precision == "fp32")
        assert record["checked_on"]["device"] == "cpu" and record["checked_on"]["versions"]["torch"]
        model = tiny_exported / ("ticket" if name.startswith("sparse") else "dense")
        made_of = record["made_of"]
        assert made_of["data"] == open_dataset(tiny_data).fingerprint
        assert made_of["max_tokens"] == 20 and made_of["checked_on"] == "cpu"
        assert made_of["files"] == {
            found.name: sha256(found)
            for found in model.iterdir()
            if found.suffix in (".safetensors", ".json")
        }
        if precision == "fp32":
            assert record["same_answers"] == 1
            assert record["accuracy"] == record["accuracy_in_pytorch"]


@pytest.mark.parametrize("name", FILES)
def test_files_are_of_the_right_model(tiny_exported: Path, name: str) -> None:
    """Stock ONNX Runtime against Hugging Face's own model, without our code."""
    models = {
        kind: LxmertForQuestionAnswering.from_pretrained(tiny_exported / kind).eval()
        for kind in ("dense", "ticket")
    }
    right, wrong = ("ticket", "dense") if name.startswith("sparse") else ("dense", "ticket")
    inputs = some_inputs(models[right].config, 20, 12, 6)
    found = in_onnx(tiny_exported / "onnx" / FILES[name], inputs)
    spread = found.std()
    assert abs(found - in_pytorch(models[right], inputs)).max() < 0.3 * spread
    assert abs(found - in_pytorch(models[wrong], inputs)).max() > spread


def test_another_output_folder(run: Path, command: Command, tmp_path: Path) -> None:
    outcome = command("export", run, "--variant", "fp16", "--output", tmp_path / "a" / "b")
    assert outcome.code == 0
    assert file_names(tmp_path / "a" / "b") == {"model_fp16.onnx", "export.json"}
    assert not (run / "onnx").exists()


def test_a_model_folder(
    tiny_model: Path, tiny_data: Path, tmp_path: Path, command: Command
) -> None:
    """A model that was never pruned, from elsewhere."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    outcome = command("export", folder, "--data", tiny_data, "--max-tokens", 9)
    assert outcome.code == 0, outcome
    assert file_names(folder / "onnx") == {*(FILES[name] for name in DENSE), "export.json"}
    metadata = {p.key: p.value for p in onnx.load(folder / "onnx" / "model.onnx").metadata_props}
    assert metadata["max_tokens"] == "9" and json.loads(metadata["labels"])[2] == "zebra"
    outcome = command(
        "verify", folder / "onnx" / "model_int8.onnx", "--run", folder, "--data", tiny_data
    )
    assert outcome.code == 0 and outcome.out.endswith("verified\n")


def test_a_ticket_folder(run: Path, tiny_data: Path, command: Command, tiny_exported: Path) -> None:
    outcome = command("export", run / "ticket", "--data", tiny_data)
    assert outcome.code == 0
    made = run / "ticket" / "onnx"
    assert file_names(made) == {*(FILES[name] for name in SPARSE), "export.json"}
    # Equal to the byte to those of the run.
    for name in SPARSE:
        assert sha256(made / FILES[name]) == sha256(tiny_exported / "onnx" / FILES[name])


def test_questions_without_answers(
    run: Path, tiny_data: Path, tmp_path: Path, command: Command
) -> None:
    """There is no accuracy to compare, but there are logits."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    described = yaml.safe_load((data / "dataset.yaml").read_text())
    del described["val"]["annotations"]
    (data / "dataset.yaml").write_text(yaml.safe_dump(described))
    outcome = command("export", run / "ticket", "--data", data, "--variant", "sparse-fp16")
    assert outcome.code == 0, outcome
    assert "not measured" in outcome.out
    record = read_report(run / "ticket")["files"]["model_sparse_fp16.onnx"]
    assert record["accuracy"] is None and record["relative_logit_difference"] > 0


# -- Files that exist already -----------------------------------------------------------------


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail when a model is loaded."""

    def fail(*arguments: Any) -> None:
        raise AssertionError("a model was loaded")

    with monkeypatch.context() as patch:
        patch.setattr(module.Source, "load", fail)
        yield


@pytest.mark.usefixtures("no_model")
def test_nothing_is_written_twice(exported: Path, command: Command) -> None:
    before = modification_times(exported / "onnx")
    for arguments in ((), ("--variant", "fp16"), ("--variant", "sparse-int8", "--device", "cpu")):
        assert command("export", exported, *arguments).code == 0
        assert modification_times(exported / "onnx") == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: os.truncate(path, 1000),
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        lambda path: path.write_bytes(b"something else"),
        lambda path: flip_bit_of_weight(path),
    ],
)
def test_only_missing_or_damaged_files_are_written(
    exported: Path, tiny_exported: Path, spoil: Callable[[Path], Any]
) -> None:
    before = modification_times(exported / "onnx")
    spoil(exported / "onnx" / "model_sparse_fp16.onnx")
    report = export_run(exported)
    after = modification_times(exported / "onnx")
    assert {name for name in after if after[name] != before[name]} == {
        "model_sparse_fp16.onnx",
        "export.json",
    }
    # Equal to the byte.
    for name in FILES.values():
        assert sha256(exported / "onnx" / name) == sha256(tiny_exported / "onnx" / name)
    assert report == ExportReport.read(exported / "onnx")
    assert list(report.files) == list(FILES.values())


@pytest.mark.parametrize(
    "spoil", [lambda path: path.unlink(), lambda path: os.truncate(path, 5000)]
)
def test_external_data(
    run: Path, tiny_exported: Path, spoil: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written for a model over 2 GiB; checked, moved, restored and deleted with it."""
    name, data = "model_sparse_fp16.onnx", run / "onnx" / "model_sparse_fp16.onnx_data"
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_model", functools.partial(module.write_model, limit=1000))
        record = export_run(run, "sparse-fp16").files[name]
        assert file_names(run / "onnx") == {name, data.name, "export.json"}
        assert record.bytes == (run / "onnx" / name).stat().st_size + data.stat().st_size
        before, content = modification_times(run / "onnx"), data.read_bytes()
        export_run(run, "sparse-fp16")
        assert modification_times(run / "onnx") == before
        spoil(data)
        export_run(run, "sparse-fp16")
        assert data.read_bytes() == content
        compare(OnnxFile(run / "onnx" / name), Source.of(run, None, None), "cpu")
    (run / "onnx" / name).unlink()
    export_run(run, "sparse-fp16")
    assert file_names(run / "onnx") == {name, "export.json"}
    assert sha256(run / "onnx" / name) == sha256(tiny_exported / "onnx" / name)


@pytest.mark.parametrize(("model", "made"), [("ticket", SPARSE), ("dense", DENSE)])
def test_only_files_of_a_changed_model_are_written(
    exported: Path, model: str, made: list[str]
) -> None:
    before = modification_times(exported / "onnx")
    retrain(exported / model)
    export_run(exported)
    after = modification_times(exported / "onnx")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {*(FILES[name] for name in made), "export.json"}
    for name in made:
        compare(OnnxFile(exported / "onnx" / FILES[name]), Source.of(exported, None, None), "cpu")


def test_one_variant_after_the_other(run: Path, tiny_exported: Path) -> None:
    """The files and records are those of a single export of all."""
    for name in ("sparse-int8", "fp32", "int8"):
        export_run(run, name)
    assert file_names(run / "onnx") == {
        *(FILES[name] for name in ("sparse-int8", "fp32", "int8")),
        "export.json",
    }
    found, expected = read_report(run)["files"], read_report(tiny_exported)["files"]
    for file, record in found.items():
        assert record == expected[file]


# -- Files that fail their checks -------------------------------------------------------------


def test_a_file_that_fails_is_deleted(
    run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(LOGIT_TOLERANCE, "fp16", 1e-9)
        message = "model_fp16.onnx does not answer like the model: its logits differ by"
        assert message in command("export", run).error
    assert file_names(run / "onnx") == {"model.onnx", "export.json"}
    assert list(read_report(run)["files"]) == ["model.onnx"]
    before = modification_times(run / "onnx")["model.onnx"]
    assert command("export", run).code == 0
    assert modification_times(run / "onnx")["model.onnx"] == before
    assert file_names(run / "onnx") == {*FILES.values(), "export.json"}


@pytest.mark.parametrize("check", ["check_structure", "check_weights", "check_answers"])
def test_every_check_counts(run: Path, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise ModelError("no good")

    monkeypatch.setattr(module, check, fail)
    with pytest.raises(ModelError, match="no good"):
        export_run(run, "sparse-fp16")
    assert file_names(run / "onnx") == set()


def test_a_weight_that_changes_while_it_is_written(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong between the model and the disk is found."""
    write = module.write_model

    def wrong(model: onnx.ModelProto, path: Path) -> None:
        (weight,) = [t for t in model.graph.initializer if t.name == f"{PRUNED}.values"]
        weight.raw_data = b"\0" + weight.raw_data[1:]
        write(model, path)

    monkeypatch.setattr(module, "write_model", wrong)
    with pytest.raises(ModelError, match="its content does not match its checksum"):
        export_run(run, "sparse-fp32")
    assert file_names(run / "onnx") == set()


def test_a_full_disk(run: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    export_run(run, "fp32")
    before = modification_times(run / "onnx")
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if ".onnx" in self.name:
            write(self, content[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    error = command("export", run).error
    assert "no space left on the disk while writing" in error and "run the same command" in error
    assert modification_times(run / "onnx") == before
    monkeypatch.undo()
    export_run(run)
    assert file_names(run / "onnx") == {*FILES.values(), "export.json"}


def test_interrupted(run: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any) -> None:
        assert len(list((run / "onnx").glob(".export.tmp-*/model_fp16.onnx"))) == 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "check_weights", stop)
        outcome = command("export", run, "--variant", "fp16")
    assert outcome.code == 130 and "the same command again continues" in outcome.err
    assert file_names(run / "onnx") == set()


# -- Killed -----------------------------------------------------------------------------------

# As in tests/lxcompress/test_kill.py, a process kills itself just before or after it moves a file
# of that name for the n-th time: first within the work folder, then, checked, to the output folder.
_KILLED = """
import os, signal, sys, traceback
from pathlib import Path
from deadly import die_at
from lxcompress.cli.main import main

moments, run = sys.argv[1], Path(sys.argv[3])
for moment in moments.split(","):
    child = os.fork()
    if not child:
        die_at(moment)
        sys.argv[1:] = sys.argv[2:]
        try:
            main()
        except BaseException:
            traceback.print_exc()
        os._exit(1)  # a fork of threads does not end by itself
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        sys.exit(f"not killed {moment}")
    print(moment, sorted(path.name for path in (run / "onnx").iterdir()))
"""
MOMENTS = (
    "before 1 model.onnx",  # incomplete
    "after 1 model.onnx",  # complete, not yet checked
    "before 2 model.onnx",  # checked, not yet in the output folder
    "after 2 model.onnx",  # in the output folder, not yet in the report
    "before 1 export.json",
    "after 1 export.json",
    "after 1 model_sparse_int8.onnx",  # of the last file
    "after 2 model_sparse_int8.onnx",
    "before 1 export.json",
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_at_any_moment(run: Path, tiny_exported: Path, command: Command) -> None:
    wanted = ("fp32", "sparse-fp16", "sparse-int8")
    arguments = [part for name in wanted for part in ("--variant", name)]
    code, text = Script(_KILLED, ",".join(MOMENTS), "export", run, *arguments).finish()
    assert code == 0, text
    seen = [line.partition(" [") for line in text.splitlines() if " ['" in line]
    assert tuple(moment for moment, _, _ in seen) == MOMENTS
    # A file is in the output folder only after its checks; at most one work folder is left.
    for number, (_, _, listing) in enumerate(seen):
        assert ("'model.onnx'" in listing) == (number >= 3)
        assert listing.count(".export.tmp-") <= 1
    before = modification_times(run / "onnx")
    outcome = command("export", run, *arguments)
    assert outcome.code == 0
    assert file_names(run / "onnx") == {*(FILES[name] for name in wanted), "export.json"}
    assert modification_times(run / "onnx")["model.onnx"] == before["model.onnx"]
    expected = read_report(tiny_exported)["files"]
    for name, record in read_report(run)["files"].items():
        assert sha256(run / "onnx" / name) == sha256(tiny_exported / "onnx" / name)
        assert record == expected[name]


# -- Checks of existing files -----------------------------------------------------------------


def test_compare_repeats_the_checks_of_the_export(tiny_exported: Path) -> None:
    source, files = Source.of(tiny_exported, None, None), read_report(tiny_exported)["files"]
    for variant in VARIANTS.values():
        found = compare(OnnxFile(tiny_exported / "onnx" / variant.file), source, "cpu")
        assert found.model_dump(mode="json").items() <= files[variant.file].items()
