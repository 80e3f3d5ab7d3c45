"""`lxcompress export` and `verify`, as they are used: made once, checked, continued, refused."""

import errno
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deadly
import onnx
import pytest
import torch
import yaml
from exported import FILES, add_noise, graph_of, in_onnx, in_pytorch, some_inputs
from safetensors.torch import load_file, save_file
from transformers import BertConfig, LxmertForQuestionAnswering

from exporters import export as module
from exporters import verify as checks
from exporters.export import compare, export
from exporters.records import ExportReport
from exporters.source import Source
from exporters.variants import VARIANTS
from lxcompress.data.dataset import open_dataset
from lxcompress.errors import LxcompressError, ModelError
from lxcompress.model.lxmert import load_model, read_config
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask
from lxcompress.system.files import sha256
from lxcompress.system.onnx_providers import why_unusable

DENSE, SPARSE = [*FILES][:3], [*FILES][3:]
PRUNED = "lxmert.pooler.dense.weight"


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The message of a mistake, after checking that it is all that was said of it."""
        assert self.code == 2, self
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and self.err.endswith(f"{lines[0]}\n"), self.err
        assert "Traceback" not in self.out + self.err
        return lines[0].removeprefix("error: ")


Command = Callable[..., Outcome]


@pytest.fixture
def command(call: Callable[..., tuple[int, str, str]]) -> Command:
    """Run the command in this process."""
    return lambda *arguments: Outcome(*call(*arguments))


@pytest.fixture(autouse=True)
def traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of an architecture, which takes seconds, is kept over all tests."""
    monkeypatch.setattr(module, "build_graph", graph_of)


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil; likewise the next."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def exported(tiny_exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_exported, tmp_path / "exported"))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def report_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "onnx" / "export.json").read_text())


def make(run: Path, *wanted: str) -> ExportReport:
    source = Source.of(run, None, None)
    return export(source, source.variants(wanted), "cpu")


# -- What is made -----------------------------------------------------------------------------


def test_all_files_of_a_run(tiny_exported: Path, tiny_data: Path) -> None:
    folder = tiny_exported / "onnx"
    assert names(folder) == {*FILES.values(), "export.json"}
    files = report_of(tiny_exported)["files"]
    assert list(files) == list(FILES.values())
    for name, file in FILES.items():
        record, path = files[file], folder / file
        precision = name.removeprefix("sparse-")
        assert (record["variant"], record["precision"]) == (name, precision)
        assert record["encoding"] == ("bitmask" if name.startswith("sparse") else "dense")
        assert record["bytes"] == path.stat().st_size and record["sha256"] == sha256(path)
        assert record["questions"] == 120
        assert record["relative_logit_difference"] < checks.LOGIT_TOLERANCE[precision]
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
    """With none of our code in between: stock ONNX Runtime, and Hugging Face's model."""
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


def test_the_command(run: Path, command: Command) -> None:
    outcome = command("export", run, "--variant", "sparse-int8", "--variant", "fp16")
    assert outcome.code == 0
    assert names(run / "onnx") == {"model_sparse_int8.onnx", "model_fp16.onnx", "export.json"}
    for name, record in report_of(run)["files"].items():
        (line,) = [line for line in outcome.out.splitlines() if name in line]
        assert f"{record['bytes'] / 1e6:.2f}" in line
        assert f"{100 * record['same_answers']:.2f}%" in line
        assert f"{record['accuracy']['overall']:.2f}" in line
        of_fp32 = 100 * record["bytes"] / record["dense_fp32_bytes"]
        assert f"{of_fp32:.1f}%" in line
    assert f"figures: {run / 'onnx' / 'export.json'}" in outcome.out
    assert command("verify", run / "onnx" / "model_sparse_int8.onnx").code == 0


def test_another_folder(run: Path, command: Command, tmp_path: Path) -> None:
    outcome = command("export", run, "--variant", "fp16", "--output", tmp_path / "a" / "b")
    assert outcome.code == 0
    assert names(tmp_path / "a" / "b") == {"model_fp16.onnx", "export.json"}
    assert not (run / "onnx").exists()


def test_a_model_folder(
    tiny_model: Path, tiny_data: Path, tmp_path: Path, command: Command
) -> None:
    """One that was never pruned, from anywhere."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    outcome = command("export", folder, "--data", tiny_data, "--max-tokens", 9)
    assert outcome.code == 0, outcome
    assert names(folder / "onnx") == {*(FILES[name] for name in DENSE), "export.json"}
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
    assert names(made) == {*(FILES[name] for name in SPARSE), "export.json"}
    # To the byte what the run gives.
    for name in SPARSE:
        assert sha256(made / FILES[name]) == sha256(tiny_exported / "onnx" / FILES[name])


def test_questions_without_answers(
    run: Path, tiny_data: Path, tmp_path: Path, command: Command
) -> None:
    """There is no accuracy to compare; logits there are."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    described = yaml.safe_load((data / "dataset.yaml").read_text())
    del described["val"]["annotations"]
    (data / "dataset.yaml").write_text(yaml.safe_dump(described))
    outcome = command("export", run / "ticket", "--data", data, "--variant", "sparse-fp16")
    assert outcome.code == 0, outcome
    assert "no answers" in outcome.out
    record = report_of(run / "ticket")["files"]["model_sparse_fp16.onnx"]
    assert record["accuracy"] is None and record["relative_logit_difference"] > 0


# -- Made once --------------------------------------------------------------------------------


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing may be loaded."""

    def fail(*arguments: Any) -> None:
        raise AssertionError("a model was loaded")

    with monkeypatch.context() as patch:
        patch.setattr(module, "load_model", fail)
        yield


@pytest.mark.usefixtures("no_model")
def test_nothing_twice(exported: Path, command: Command) -> None:
    before = times(exported / "onnx")
    for arguments in ((), ("--variant", "fp16"), ("--variant", "sparse-int8", "--device", "cpu")):
        assert command("export", exported, *arguments).code == 0
        assert times(exported / "onnx") == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: os.truncate(path, 1000),
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        lambda path: path.write_bytes(b"something else"),
        lambda path: other_bytes(path),
    ],
)
def test_only_what_is_missing(
    exported: Path, tiny_exported: Path, spoil: Callable[[Path], Any]
) -> None:
    before = times(exported / "onnx")
    spoil(exported / "onnx" / "model_sparse_fp16.onnx")
    report = make(exported)
    after = times(exported / "onnx")
    assert {name for name in after if after[name] != before[name]} == {
        "model_sparse_fp16.onnx",
        "export.json",
    }
    # The same again, to the byte.
    for name in FILES.values():
        assert sha256(exported / "onnx" / name) == sha256(tiny_exported / "onnx" / name)
    assert report == ExportReport.read(exported / "onnx")
    assert list(report.files) == list(FILES.values())


@pytest.mark.parametrize(
    "spoil", [lambda path: path.unlink(), lambda path: os.truncate(path, 5000)]
)
def test_weights_in_a_file_of_their_own(
    run: Path, tiny_exported: Path, spoil: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a model over 2 GiB: they are checked, moved, missed and removed with it."""
    name, data = "model_sparse_fp16.onnx", run / "onnx" / "model_sparse_fp16.onnx_data"
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_model", functools.partial(module.write_model, limit=1000))
        record = make(run, "sparse-fp16").files[name]
        assert names(run / "onnx") == {name, data.name, "export.json"}
        assert record.bytes == (run / "onnx" / name).stat().st_size + data.stat().st_size
        before, content = times(run / "onnx"), data.read_bytes()
        make(run, "sparse-fp16")
        assert times(run / "onnx") == before
        spoil(data)
        make(run, "sparse-fp16")
        assert data.read_bytes() == content
        compare(run / "onnx" / name, Source.of(run, None, None), "cpu")
    (run / "onnx" / name).unlink()
    make(run, "sparse-fp16")
    assert names(run / "onnx") == {name, "export.json"}
    assert sha256(run / "onnx" / name) == sha256(tiny_exported / "onnx" / name)


def retrain(folder: Path) -> None:
    """Other weights, as after another training, under the same mask where there is one."""
    model = load_model(folder)
    add_noise(model, seed=1)
    if (folder / "mask.safetensors").exists():
        weights = prunable_parameters(model)
        Mask.load(folder / "mask.safetensors", weights).apply(weights)
    model.save_pretrained(folder)


@pytest.mark.parametrize(("model", "made"), [("ticket", SPARSE), ("dense", DENSE)])
def test_only_what_has_changed(exported: Path, model: str, made: list[str]) -> None:
    before = times(exported / "onnx")
    retrain(exported / model)
    make(exported)
    after = times(exported / "onnx")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {*(FILES[name] for name in made), "export.json"}
    for name in made:
        compare(exported / "onnx" / FILES[name], Source.of(exported, None, None), "cpu")


def test_one_variant_after_the_other(run: Path, tiny_exported: Path) -> None:
    """As one call for all makes them, and in its report."""
    for name in ("sparse-int8", "fp32", "int8"):
        make(run, name)
    assert names(run / "onnx") == {
        *(FILES[name] for name in ("sparse-int8", "fp32", "int8")),
        "export.json",
    }
    found, expected = report_of(run)["files"], report_of(tiny_exported)["files"]
    for file, record in found.items():
        assert record == expected[file]


# -- Files that do not pass -------------------------------------------------------------------


def test_a_file_that_does_not_pass_is_not_left(
    run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(checks.LOGIT_TOLERANCE, "fp16", 1e-9)
        message = "model_fp16.onnx does not answer as the model: its logits differ by"
        assert message in command("export", run).error
    assert names(run / "onnx") == {"model.onnx", "export.json"}
    assert list(report_of(run)["files"]) == ["model.onnx"]
    before = times(run / "onnx")["model.onnx"]
    assert command("export", run).code == 0
    assert times(run / "onnx")["model.onnx"] == before
    assert names(run / "onnx") == {*FILES.values(), "export.json"}


@pytest.mark.parametrize("check", ["check_structure", "check_weights", "check_answers"])
def test_every_check_counts(run: Path, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise ModelError("no good")

    monkeypatch.setattr(module, check, fail)
    with pytest.raises(ModelError, match="no good"):
        make(run, "sparse-fp16")
    assert names(run / "onnx") == set()


def test_a_weight_that_changes_on_the_way(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong between the model and the disk."""
    write = module.write_model

    def wrong(model: onnx.ModelProto, path: Path) -> None:
        (weight,) = [t for t in model.graph.initializer if t.name == f"{PRUNED}.values"]
        weight.raw_data = b"\0" + weight.raw_data[1:]
        write(model, path)

    monkeypatch.setattr(module, "write_model", wrong)
    with pytest.raises(ModelError, match="does not have the checksum"):
        make(run, "sparse-fp32")
    assert names(run / "onnx") == set()


def test_a_full_disk(run: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    make(run, "fp32")
    before = times(run / "onnx")
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if ".onnx" in self.name:
            write(self, content[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    error = command("export", run).error
    assert "no space left on the disk while writing" in error and "run the same command" in error
    assert times(run / "onnx") == before
    monkeypatch.undo()
    monkeypatch.setattr(module, "build_graph", graph_of)
    make(run)
    assert names(run / "onnx") == {*FILES.values(), "export.json"}


def test_interrupted(run: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any) -> None:
        assert len(list((run / "onnx").glob(".export.tmp-*/model_fp16.onnx"))) == 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "check_weights", stop)
        outcome = command("export", run, "--variant", "fp16")
    assert outcome.code == 130 and "the same command again continues" in outcome.err
    assert names(run / "onnx") == set()


# -- Killed -----------------------------------------------------------------------------------

# As in tests/lxcompress/test_kill.py: at its moment a process kills itself, just before or
# after the n-th time that it puts a file of that name in its place: first in the work folder,
# checked in the end. Each is forked, after the graph is traced, which takes most of the time.
_KILLED = (
    deadly.IMPORT
    + """
import os, signal, sys, traceback
from pathlib import Path
from exporters import export
from lxcompress.cli.main import main
from lxcompress.model.lxmert import read_config

moments, run = sys.argv[1], Path(sys.argv[3])
graph = export.build_graph(read_config(run / "dense"))
export.build_graph = lambda config: graph

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
)
MOMENTS = (
    "before 1 model.onnx",  # half-written
    "after 1 model.onnx",  # complete, not yet checked
    "before 2 model.onnx",  # checked, not yet in its place
    "after 2 model.onnx",  # in its place, not yet in the report
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
    script = [sys.executable, "-c", _KILLED, ",".join(MOMENTS), "export", str(run), *arguments]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = [line.partition(" [") for line in done.stdout.splitlines() if " [" in line]
    assert tuple(moment for moment, _, _ in seen) == MOMENTS
    # A file is in its place only after its checks; work folders do not pile up.
    for number, (_, _, listing) in enumerate(seen):
        assert ("'model.onnx'" in listing) == (number >= 3)
        assert listing.count(".export.tmp-") <= 1
    before = times(run / "onnx")
    outcome = command("export", run, *arguments)
    assert outcome.code == 0
    assert names(run / "onnx") == {*(FILES[name] for name in wanted), "export.json"}
    assert times(run / "onnx")["model.onnx"] == before["model.onnx"]
    expected = report_of(tiny_exported)["files"]
    for name, record in report_of(run)["files"].items():
        assert sha256(run / "onnx" / name) == sha256(tiny_exported / "onnx" / name)
        assert record == expected[name]


# -- What is refused --------------------------------------------------------------------------


def edit_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def revive(tensors: dict[str, torch.Tensor], value: float = 1.0) -> None:
    flat = tensors[PRUNED].view(-1)
    flat[(flat == 0).nonzero()[0]] = value


def without_ticket(run: Path) -> None:
    (run / "result.json").unlink()


def with_life(run: Path) -> None:
    edit_weights(run / "ticket" / "model.safetensors", revive)


def with_minus_zero(run: Path) -> None:
    edit_weights(run / "ticket" / "model.safetensors", lambda tensors: revive(tensors, -0.0))


def other_mask(run: Path) -> None:
    shutil.copy(run / "ticket" / "model.safetensors", run / "ticket" / "mask.safetensors")


def cut_mask(run: Path) -> None:
    os.truncate(run / "ticket" / "mask.safetensors", 900)


def cut_weights(run: Path) -> None:
    os.truncate(run / "dense" / "model.safetensors", 900)


def as_bert(run: Path) -> None:
    BertConfig().save_pretrained(run / "dense")


def damaged_report(text: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        (run / "onnx").mkdir()
        (run / "onnx" / "export.json").write_text(text)

    return change


def too_large(run: Path) -> None:
    edit_weights(run / "dense" / "model.safetensors", lambda tensors: tensors[PRUNED][0].fill_(7e4))


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        (without_ticket, ["{}"], "{} has no finished ticket; `lxcompress prune --resume {}`"),
        (with_life, ["{}"], f"1 pruned weights of {PRUNED} are not zero in {{}}/ticket"),
        (with_minus_zero, ["{}"], f"1 pruned weights of {PRUNED} are not zero"),
        (other_mask, ["{}"], "{}/ticket/mask.safetensors is not a mask that this version reads"),
        (cut_mask, ["{}"], "mask is damaged: {}/ticket/mask.safetensors"),
        (cut_weights, ["{}"], "cannot load {}/dense as an LXMERT model"),
        (as_bert, ["{}"], "{}/dense is a bert model; lxcompress prunes LXMERT"),
        (as_bert, ["{}/dense", "--data", "DATA"], "{}/dense is a bert model"),
        (too_large, ["{}", "--variant", "fp16"], "has a weight of 70000, too large for fp16"),
        (damaged_report("{"), ["{}"], "export report is not valid JSON"),
        (damaged_report("{}"), ["{}"], "{}/onnx/export.json is not an export report"),
        (damaged_report("[]"), ["{}"], "{}/onnx/export.json is not an export report"),
        (damaged_report('{"files": 7}'), ["{}"], "{}/onnx/export.json is not an export report"),
        (None, ["{}", "--variant", "int4"], "--variant int4: choose fp32, fp16, int8, sparse-fp3"),
        (
            None,
            ["{}/dense", "--data", "DATA", "--variant", "sparse-int8"],
            "--variant sparse-int8 needs a mask, which is not there",
        ),
        (
            None,
            ["{}/ticket", "--data", "DATA", "--variant", "fp32"],
            "--variant fp32 needs an unpruned model",
        ),
        (None, ["{}/dense"], "{}/dense is a model folder; give --data"),
        (None, ["{}/ticket", "--data", "{}/none"], "{}/none"),
        (None, ["{}/logs", "--data", "DATA"], "{}/logs is no model folder"),
        (None, ["{}/nothing"], "{}/nothing is neither a run directory nor a model folder"),
        (None, ["{}", "--data", "DATA"], "a run has its own data and settings"),
        (None, ["{}/dense", "--data", "DATA", "--max-tokens", "2"], "--max-tokens"),
        (None, ["{}/dense", "--data", "DATA", "--max-tokens", "99"], "99"),
        (None, ["{}", "--device", "tpu"], "--device tpu: ONNX files run on cpu or cuda"),
        (None, ["{}", "--device", "auto"], "--device auto: ONNX files run on cpu or cuda"),
        (None, ["{}", "--output", "{}/result.json"], "result.json"),
        (None, [], "Missing argument"),
    ],
)
def test_export_refuses(
    run: Path,
    tiny_data: Path,
    command: Command,
    spoil: Callable[[Path], Any] | None,
    arguments: list[str],
    message: str,
) -> None:
    if spoil:
        spoil(run)
    given = [str(tiny_data) if a == "DATA" else a.replace("{}", str(run)) for a in arguments]
    assert message.replace("{}", str(run)) in command("export", *given).error
    # What could be made before is there, whole; nothing else is.
    for folder in run.rglob("onnx"):
        left = names(folder) - {"export.json"}
        assert left <= set(FILES.values())
        for name in left:
            checks.check_structure(folder / name)


def test_a_ticket_that_is_alive_makes_no_sparse_file(run: Path, command: Command) -> None:
    with_life(run)
    assert "are not zero" in command("export", run, "--variant", "sparse-fp32").error
    assert not (run / "onnx").exists()


@pytest.mark.skipif(why_unusable("CUDAExecutionProvider") is None, reason="CUDA is there")
def test_cuda_where_there_is_none(run: Path, exported: Path, command: Command) -> None:
    before = times(exported / "onnx")
    for arguments in (
        ("export", run, "--device", "cuda"),
        ("export", exported, "--device", "cuda"),
        ("verify", exported / "onnx" / "model.onnx", "--run", exported, "--device", "cuda"),
    ):
        error = command(*arguments).error
        assert error.startswith("--device cuda: ONNX Runtime cannot use it here: ")
    assert not (run / "onnx").exists() and times(exported / "onnx") == before


# -- Verifying --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_verify(tiny_exported: Path, command: Command, name: str) -> None:
    path = tiny_exported / "onnx" / FILES[name]
    outcome = command("verify", path)
    assert outcome.code == 0 and outcome.out.endswith("verified\n")
    assert f"{path.stat().st_size:,} bytes, sha256 {sha256(path)}" in outcome.out
    found = report_of(tiny_exported)["files"][FILES[name]]
    assert f"{found['parameters']:,} weights, checksum as recorded, valid ONNX" in outcome.out
    told = f"pruned: {found['pruned']:,} of {found['prunable']:,} prunable (50.0%)"
    assert (told in outcome.out) == name.startswith("sparse")
    outcome = command("verify", path, "--run", tiny_exported)
    assert outcome.code == 0 and outcome.out.endswith("verified\n")
    assert f"same answers as PyTorch: {100 * found['same_answers']:.2f}% of 120;" in outcome.out
    assert f"accuracy: {found['accuracy']['overall']:.2f}, in PyTorch" in outcome.out


def test_verify_a_ticket_by_itself(tiny_exported: Path, tiny_data: Path, command: Command) -> None:
    path, ticket = tiny_exported / "onnx" / "model_sparse_fp16.onnx", tiny_exported / "ticket"
    outcome = command("verify", path, "--run", ticket, "--data", tiny_data)
    assert outcome.code == 0 and "accuracy: " in outcome.out


def test_verify_says_the_same_as_the_export(tiny_exported: Path) -> None:
    source, files = Source.of(tiny_exported, None, None), report_of(tiny_exported)["files"]
    for variant in VARIANTS.values():
        found = compare(tiny_exported / "onnx" / variant.file, source, "cpu")
        assert found.model_dump().items() <= files[variant.file].items()


def other_bytes(path: Path) -> None:
    """In the middle of a weight."""
    tensor = max(onnx.load(path).graph.initializer, key=lambda found: len(found.raw_data))
    content = bytearray(path.read_bytes())
    content[content.index(tensor.raw_data) + len(tensor.raw_data) // 2] ^= 16
    path.write_bytes(content)


def foreign(path: Path) -> None:
    node = onnx.helper.make_node("Constant", [], ["y"], value_float=1.0)
    value = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [value])), path)


@pytest.mark.parametrize("with_run", [False, True])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: os.truncate(path, path.stat().st_size // 2), "is truncated or no ONNX file"),
        (lambda path: os.truncate(path, path.stat().st_size - 1), ""),
        (lambda path: os.truncate(path, 0), "is truncated or no ONNX file"),
        (lambda path: path.write_text("PK"), "no ONNX file"),
        (lambda path: path.unlink(), "ONNX file not found: "),
        (lambda path: (path.unlink(), path.mkdir()), "but this is a folder: "),
        (other_bytes, "is damaged: it does not have the checksum that it records"),
        (foreign, "was not made by `lxcompress export`"),
    ],
)
def test_verify_refuses(
    exported: Path,
    command: Command,
    spoil: Callable[[Path], Any],
    message: str,
    with_run: bool,
) -> None:
    path = exported / "onnx" / "model_sparse_int8.onnx"
    spoil(path)
    error = command("verify", path, *(["--run", exported] if with_run else [])).error
    assert message in error and str(path) in error


@pytest.mark.parametrize(
    ("change", "name", "arguments", "message"),
    [
        (lambda run: retrain(run / "dense"), "fp32", [], "is not the model's, to the bit"),
        (lambda run: retrain(run / "ticket"), "sparse-fp32", [], "is not the model's, to the bit"),
        (lambda run: retrain(run / "dense"), "fp16", [], "is not the model's, to the bit"),
        (lambda run: retrain(run / "ticket"), "sparse-int8", [], "is not the model's, to the bit"),
        (without_ticket, "fp32", [], "has no finished ticket"),
        (with_life, "sparse-int8", [], "are not zero"),
        (None, "sparse-int8", ["--run", "{}/dense"], "{}/dense is a model folder; give --data"),
        (
            None,
            "sparse-int8",
            ["--run", "{}/dense", "--data", "DATA"],
            "needs a mask, which is not there",
        ),
        (None, "fp32", ["--run", "{}/nowhere"], "{}/nowhere is neither a run directory nor"),
    ],
)
def test_verify_against_something_else(
    exported: Path,
    tiny_data: Path,
    command: Command,
    change: Callable[[Path], Any] | None,
    name: str,
    arguments: list[str],
    message: str,
) -> None:
    if change:
        change(exported)
    given = [
        str(tiny_data) if a == "DATA" else a.replace("{}", str(exported))
        for a in arguments or ["--run", "{}"]
    ]
    path = exported / "onnx" / FILES[name]
    assert message.replace("{}", str(exported)) in command("verify", path, *given).error


def test_verify_against_another_architecture(
    tiny_exported: Path, tiny_data: Path, command: Command, tmp_path: Path
) -> None:
    config = read_config(tiny_exported / "dense")
    config.update({"l_layers": 2, "intermediate_size": 40})
    other = Path(shutil.copytree(tiny_exported / "dense", tmp_path / "other"))
    LxmertForQuestionAnswering(config).save_pretrained(other)
    for name in DENSE:
        path = tiny_exported / "onnx" / FILES[name]
        error = command("verify", path, "--run", other, "--data", tiny_data).error
        assert "is of another model" in error


def test_verify_with_data_alone(tiny_exported: Path, tiny_data: Path, command: Command) -> None:
    path = tiny_exported / "onnx" / "model.onnx"
    error = command("verify", path, "--data", tiny_data).error
    assert error == "--data and --device go with --run, the model to compare with"


def test_errors_of_the_function_are_the_same(run: Path) -> None:
    with_life(run)
    with pytest.raises(LxcompressError, match="are not zero"):
        make(run, "sparse-fp16")
