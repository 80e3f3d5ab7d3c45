"""`lxcompress export` and `lxcompress verify`: what they print, and the inputs they reject."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from exported import FILES
from exports import (
    Command,
    export_run,
    file_names,
    flip_bit_of_weight,
    modification_times,
    read_report,
    retrain,
)
from safetensors.torch import load_file, save_file
from transformers import BertConfig, LxmertForQuestionAnswering

from exporters.graph.onnx_file import OnnxFile
from exporters.verify.structure import check_structure
from lxcompress.errors import LxcompressError
from lxcompress.model.lxmert import read_config
from lxcompress.system.files import sha256
from lxcompress.system.machine.onnx_providers import why_unusable

DENSE = [*FILES][:3]
PRUNED = "lxmert.pooler.dense.weight"


# -- What export prints -----------------------------------------------------------------------


def test_the_command(run: Path, command: Command) -> None:
    outcome = command("export", run, "--variant", "sparse-int8", "--variant", "fp16")
    assert outcome.code == 0
    assert file_names(run / "onnx") == {"model_sparse_int8.onnx", "model_fp16.onnx", "export.json"}
    for name, record in read_report(run)["files"].items():
        (line,) = [line for line in outcome.out.splitlines() if name in line]
        assert f"{record['bytes'] / 1e6:.2f}" in line
        assert f"{100 * record['same_answers']:.2f}%" in line
        assert f"{record['accuracy']['overall']:.2f}" in line
        of_fp32 = 100 * record["bytes"] / record["dense_fp32_bytes"]
        assert f"{of_fp32:.1f}%" in line
    assert f"figures: {run / 'onnx' / 'export.json'}" in outcome.out
    assert command("verify", run / "onnx" / "model_sparse_int8.onnx").code == 0


# -- Inputs that export rejects ---------------------------------------------------------------


def edit_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def set_pruned_weight(tensors: dict[str, torch.Tensor], value: float = 1.0) -> None:
    flat = tensors[PRUNED].view(-1)
    flat[(flat == 0).nonzero()[0]] = value


def unfinished(run: Path) -> None:
    (run / "result.json").unlink()


def with_pruned_weight_of_one(run: Path) -> None:
    edit_weights(run / "ticket" / "model.safetensors", set_pruned_weight)


def with_minus_zero(run: Path) -> None:
    edit_weights(
        run / "ticket" / "model.safetensors", lambda tensors: set_pruned_weight(tensors, -0.0)
    )


def weights_as_mask(run: Path) -> None:
    shutil.copy(run / "ticket" / "model.safetensors", run / "ticket" / "mask.safetensors")


def truncated_mask(run: Path) -> None:
    os.truncate(run / "ticket" / "mask.safetensors", 900)


def truncated_weights(run: Path) -> None:
    os.truncate(run / "dense" / "model.safetensors", 900)


def as_bert(run: Path) -> None:
    BertConfig().save_pretrained(run / "dense")


def damaged_report(text: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        (run / "onnx").mkdir()
        (run / "onnx" / "export.json").write_text(text)

    return change


def with_large_weight(run: Path) -> None:
    edit_weights(run / "dense" / "model.safetensors", lambda tensors: tensors[PRUNED][0].fill_(7e4))


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (unfinished, ["{}"], "{} has no finished ticket; `lxcompress prune --resume {}`"),
        (
            with_pruned_weight_of_one,
            ["{}"],
            f"1 pruned weights of {PRUNED} are not zero in {{}}/ticket",
        ),
        (with_minus_zero, ["{}"], f"1 pruned weights of {PRUNED} are not zero"),
        (
            weights_as_mask,
            ["{}"],
            "{}/ticket/mask.safetensors is not a mask that this version reads",
        ),
        (truncated_mask, ["{}"], "mask is damaged: {}/ticket/mask.safetensors"),
        (truncated_weights, ["{}"], "cannot load {}/dense as an LXMERT model"),
        (as_bert, ["{}"], "{}/dense is a bert model; lxcompress prunes LXMERT"),
        (as_bert, ["{}/dense", "--data", "DATA"], "{}/dense is a bert model"),
        (
            with_large_weight,
            ["{}", "--variant", "fp16"],
            "has a weight of 70000, too large for fp16",
        ),
        (damaged_report("{"), ["{}"], "export report is not valid JSON"),
        (damaged_report("{}"), ["{}"], "export report {}/onnx/export.json is damaged at"),
        (damaged_report("[]"), ["{}"], "export report {}/onnx/export.json is damaged at"),
        (damaged_report('{"files": 7}'), ["{}"], "export report {}/onnx/export.json is damaged at"),
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
        (None, ["{}", "--answers", "lxmert-vqa"], "a run has its own answers; leave out --answers"),
        (None, ["{}/dense", "--answers", "lxmert-vqa"], "lists 3129 answers, the model's head has"),
        (None, ["{}/dense", "--answers", "{}/none"], "answer list not found: {}/none"),
        (None, ["{}/dense", "--tokenizer", "{}/none"], "cannot load {}/none"),
        (None, ["{}/ticket", "--triton", "{}/triton"], "--triton needs --data"),
        (
            None,
            ["nobody/nothing"],
            "there is no folder nobody/nothing, and the Hugging Face Hub did not",
        ),
        (None, ["{}/ticket", "--data", "{}/none"], "{}/none"),
        (None, ["{}/logs", "--data", "DATA"], "{}/logs is not a model folder"),
        (None, ["{}/nothing"], "{}/nothing is neither a run directory nor a model folder"),
        (None, ["{}", "--data", "DATA"], "a run has its own data and settings"),
        (None, ["{}/dense", "--data", "DATA", "--max-tokens", "2"], "--max-tokens"),
        (None, ["{}/dense", "--data", "DATA", "--max-tokens", "99"], "99"),
        (None, ["{}", "--device", "tpu"], "--device tpu: ONNX files run on cpu or cuda"),
        (None, ["{}", "--device", "auto"], "--device auto: ONNX files run on cpu or cuda"),
        (None, ["{}", "--output", "{}/result.json"], "result.json"),
        (None, [], "give a run, a model folder or a hub id to export, or --detector butd"),
    ],
)
def test_export_rejects(
    run: Path,
    tiny_data: Path,
    command: Command,
    change: Callable[[Path], Any] | None,
    arguments: list[str],
    message: str,
) -> None:
    if change:
        change(run)
    given = [str(tiny_data) if a == "DATA" else a.replace("{}", str(run)) for a in arguments]
    assert message.replace("{}", str(run)) in command("export", *given).error
    # Files that were complete before the error remain, and nothing else.
    for folder in run.rglob("onnx"):
        left = file_names(folder) - {"export.json"}
        assert left <= set(FILES.values())
        for name in left:
            check_structure(OnnxFile(folder / name))


def test_no_sparse_file_of_a_ticket_with_nonzero_pruned_weights(
    run: Path, command: Command
) -> None:
    with_pruned_weight_of_one(run)
    assert "are not zero" in command("export", run, "--variant", "sparse-fp32").error
    assert not (run / "onnx").exists()


@pytest.mark.skipif(
    why_unusable("CUDAExecutionProvider") is None, reason="ONNX Runtime can use CUDA here"
)
def test_cuda_that_is_unavailable(run: Path, exported: Path, command: Command) -> None:
    before = modification_times(exported / "onnx")
    for arguments in (
        ("export", run, "--device", "cuda"),
        ("export", exported, "--device", "cuda"),
        ("verify", exported / "onnx" / "model.onnx", "--run", exported, "--device", "cuda"),
    ):
        error = command(*arguments).error
        assert error.startswith("--device cuda: ONNX Runtime cannot use it here: ")
    assert not (run / "onnx").exists() and modification_times(exported / "onnx") == before


def test_the_function_raises_the_same_error(run: Path) -> None:
    with_pruned_weight_of_one(run)
    with pytest.raises(LxcompressError, match="are not zero"):
        export_run(run, "sparse-fp16")


# -- verify -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_verify(tiny_exported: Path, command: Command, name: str) -> None:
    path = tiny_exported / "onnx" / FILES[name]
    outcome = command("verify", path)
    assert outcome.code == 0 and outcome.out.endswith("verified\n")
    assert f"{path.stat().st_size:,} bytes, sha256 {sha256(path)}" in outcome.out
    found = read_report(tiny_exported)["files"][FILES[name]]
    assert f"{found['parameters']:,} weights, checksum as recorded, valid ONNX" in outcome.out
    line = f"pruned: {found['pruned']:,} of {found['prunable']:,} prunable (50.0%)"
    assert (line in outcome.out) == name.startswith("sparse")
    outcome = command("verify", path, "--run", tiny_exported)
    assert outcome.code == 0 and outcome.out.endswith("verified\n")
    assert f"same answers as PyTorch: {100 * found['same_answers']:.2f}% of 120;" in outcome.out
    assert f"accuracy: {found['accuracy']['overall']:.2f}, in PyTorch" in outcome.out


def test_verify_a_ticket_by_itself(tiny_exported: Path, tiny_data: Path, command: Command) -> None:
    path, ticket = tiny_exported / "onnx" / "model_sparse_fp16.onnx", tiny_exported / "ticket"
    outcome = command("verify", path, "--run", ticket, "--data", tiny_data)
    assert outcome.code == 0 and "accuracy: " in outcome.out


def of_another_tool(path: Path) -> None:
    node = onnx.helper.make_node("Constant", [], ["y"], value_float=1.0)
    value = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [value])), path)


@pytest.mark.parametrize("with_run", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda path: os.truncate(path, path.stat().st_size // 2),
            "is truncated or not an ONNX file",
        ),
        (lambda path: os.truncate(path, path.stat().st_size - 1), ""),
        (lambda path: os.truncate(path, 0), "is truncated or not an ONNX file"),
        (lambda path: path.write_text("PK"), "not an ONNX file"),
        (lambda path: path.unlink(), "ONNX file not found: "),
        (lambda path: (path.unlink(), path.mkdir()), "but this is a folder: "),
        (flip_bit_of_weight, "is damaged: its content does not match its checksum"),
        (of_another_tool, "was not written by `lxcompress export`"),
    ],
)
def test_verify_rejects(
    exported: Path,
    command: Command,
    change: Callable[[Path], Any],
    message: str,
    with_run: bool,
) -> None:
    path = exported / "onnx" / "model_sparse_int8.onnx"
    change(path)
    error = command("verify", path, *(["--run", exported] if with_run else [])).error
    assert message in error and str(path) in error


@pytest.mark.parametrize(
    ("change", "name", "arguments", "message"),
    [
        (lambda run: retrain(run / "dense"), "fp32", [], "is not the model's, to the bit"),
        (lambda run: retrain(run / "ticket"), "sparse-fp32", [], "is not the model's, to the bit"),
        (lambda run: retrain(run / "dense"), "fp16", [], "is not the model's, to the bit"),
        (lambda run: retrain(run / "ticket"), "sparse-int8", [], "is not the model's, to the bit"),
        (unfinished, "fp32", [], "has no finished ticket"),
        (with_pruned_weight_of_one, "sparse-int8", [], "are not zero"),
        (None, "sparse-int8", ["--run", "{}/dense"], "needs a mask, which is not there"),
        (
            None,
            "sparse-int8",
            ["--run", "{}/dense", "--data", "DATA"],
            "needs a mask, which is not there",
        ),
        (None, "fp32", ["--run", "{}/nowhere"], "{}/nowhere is neither a run directory nor"),
    ],
)
def test_verify_against_another_model(
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
    assert error == (
        "--data, --answers, --tokenizer and --device need --run, the model to compare with"
    )
