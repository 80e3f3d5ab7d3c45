"""Files of tickets that have lost whole heads and neurons: smaller graphs, equal answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from compacted import HALF, kept_units, structured_run
from exported import FILES, in_onnx, in_pytorch, some_inputs, stock
from exports import Command, Outcome
from onnx import ModelProto
from tiny import run_lottery, settings
from transformers import LxmertForQuestionAnswering
from verified import altered, set_metadata

from exporters import export as module
from exporters.encodings.decode_model import EncodedWeights
from exporters.graph.onnx_file import OnnxFile
from exporters.records import ExportReport
from exporters.runtime import OnnxVqaModel
from exporters.source import Source
from exporters.verify.answers import LOGIT_TOLERANCE
from exporters.verify.structure import check_structure
from exporters.verify.weights import check_weights
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ModelError
from lxcompress.model.sublayers import sublayers
from lxcompress.pruning.mask import Mask
from lxcompress.ticket import load_ticket

SPARSE = [name for name in FILES if name.startswith("sparse")]
INTERMEDIATE = "lxmert.encoder.layer.0.intermediate"
NO_HEADS = "lxmert.encoder.layer.0.attention"


def export_all(run: Path) -> ExportReport:
    source = Source.of(run, None, None)
    return module.export(source, source.variants([]), "cpu")


@pytest.fixture(scope="module")
def run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With all files; do not write to it."""
    folder = structured_run(tiny_run, tmp_path_factory.mktemp("structured") / "run")
    export_all(folder)
    return folder


@pytest.fixture(scope="module")
def ticket(run: Path) -> tuple[LxmertForQuestionAnswering, Mask]:
    return load_ticket(run / "ticket")


def path_of(run: Path, name: str) -> Path:
    return run / "onnx" / FILES[name]


def record_of(run: Path, name: str) -> dict[str, Any]:
    return json.loads((run / "onnx" / "export.json").read_text())["files"][FILES[name]]


def metadata_of(path: Path) -> dict[str, str]:
    return OnnxFile(path).metadata


# -- Answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_answers_of_the_stock_model_in_stock_onnx_runtime(run: Path, name: str) -> None:
    folder = "ticket" if name.startswith("sparse") else "dense"
    model = LxmertForQuestionAnswering.from_pretrained(run / folder).eval()
    inputs = some_inputs(model.config, 20, 12, 6)
    expected = in_pytorch(model, inputs)
    precision = name.removeprefix("sparse-")
    for found in (
        in_onnx(path_of(run, name), inputs),
        OnnxVqaModel(path_of(run, name), threads=1).logits(inputs),
    ):
        off = np.sqrt(np.square(found - expected).mean()) / expected.std(axis=1).mean()
        assert off < LOGIT_TOLERANCE[precision]
        if precision == "fp32":
            np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected.std() > 0.1


@pytest.mark.parametrize("name", SPARSE)
def test_decoding_is_folded(run: Path, name: str, tmp_path: Path) -> None:
    stock(path_of(run, name), tmp_path / "optimized.onnx")
    operators = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert not operators & {"NonZero", "ScatterElements", "BitmaskDecode"}


def test_a_run_with_structured_pruning(
    tmp_path: Path, tiny_model: Path, tiny_data: Path, tiny_dataset: Dataset
) -> None:
    """What it removed is what its files lack."""
    options = settings(tiny_model, tiny_data, sparsity=0.5, pattern="structured", control=False)
    run, result = run_lottery(tmp_path / "run", tiny_dataset, options)
    source = Source.of(run.folder, None, None)
    record = module.export(source, source.variants(["sparse-fp16"]), "cpu").files[
        "model_sparse_fp16.onnx"
    ]
    assert record.encoding == "compact" and record.pattern == "structured"
    assert record.pruned / record.prunable == result["ticket"]["sparsity"]["prunable"] >= 0.5
    structure = json.loads(metadata_of(run.onnx / "model_sparse_fp16.onnx")["structure"])
    for entry in result["ticket"]["structure"]:
        kind = "heads" if "heads" in entry else "neurons"
        kept, units = entry[kind]
        if kept < units:
            assert structure[entry["module"]][kind] == [kept, units]
        else:
            assert entry["module"] not in structure


# -- Form -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_metadata(run: Path, name: str, ticket: tuple[LxmertForQuestionAnswering, Mask]) -> None:
    model, mask = ticket
    found, sparse = metadata_of(path_of(run, name)), name.startswith("sparse")
    assert found["encoding"] == ("compact+bitmask" if sparse else "dense")
    assert record_of(run, name)["encoding"] == found["encoding"]
    assert found["pattern"] == ("unstructured" if sparse else "dense")
    if not sparse:
        assert found["structure"] == "{}" and found["sparsity"] == "null"
        return
    total = sum(parameter.numel() for parameter in model.parameters())
    assert json.loads(found["sparsity"]) == {
        "prunable": mask.sparsity,
        "model": mask.pruned / total,
    }
    structure = json.loads(found["structure"])
    expected = {n: units for n, units in kept_units(model, HALF).items() if not units.all()}
    assert structure.keys() == expected.keys() and len(expected) == 6
    for layer in sublayers(model):
        if layer.name in expected:
            entry = structure[layer.name]
            assert entry[layer.kind] == [int(expected[layer.name].sum()), layer.units]
            bits = np.unpackbits(
                np.frombuffer(bytes.fromhex(entry["kept"]), np.uint8), bitorder="little"
            )
            assert bits[: layer.units].astype(bool).tolist() == expected[layer.name].tolist()


@pytest.mark.parametrize("name", SPARSE)
def test_shapes_of_the_weights(
    run: Path, name: str, ticket: tuple[LxmertForQuestionAnswering, Mask]
) -> None:
    model, _ = ticket
    weights, kept = EncodedWeights(OnnxFile(path_of(run, name))), kept_units(model, HALF)
    for layer in sublayers(model):
        size = int(kept[layer.name].sum()) * layer.width
        for weight, dim in layer.weights.items():
            shape = [32, 32]
            shape[dim] = size
            if size:
                found = weights.in_model_layout(weight, weights.stored(weight)).shape
                assert found == tuple(shape)
            else:
                assert weight not in weights.names
        for bias in layer.biases:
            assert (bias in weights.names) == (size > 0)
        assert f"{layer.output}.bias" in weights.names
    nodes = onnx.load(path_of(run, name)).graph.node
    heads = [a.i for node in nodes for a in node.attribute if a.name == "q_num_heads"]
    assert heads == [1, 1, 2]  # vision, across, language; the language's first has none


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_sizes(run: Path, tiny_exported: Path, precision: str) -> None:
    """Smaller than the unstructured ticket, although fewer of the remaining weights are pruned."""
    record = record_of(run, f"sparse-{precision}")
    path = path_of(run, f"sparse-{precision}")
    assert record["bytes"] == path.stat().st_size
    weights = [
        len(tensor.raw_data)
        for tensor in onnx.load(path).graph.initializer
        if not tensor.name.startswith(("graph.", "lxcompress."))
    ]
    assert sum(weights) == record["formula"]["total"]
    assert record["bytes"] < record_of(tiny_exported, f"sparse-{precision}")["bytes"]
    dense = record_of(run, precision)
    assert record["dense_fp32_bytes"] == dense["dense_fp32_bytes"]
    assert record["prunable"] == record_of(tiny_exported, "sparse-fp32")["prunable"]
    formula = record["formula"]
    assert formula["total"] - formula["mask"] <= formula["entropy_bound"] <= formula["total"]


def test_matrices_without_pruned_weights_have_no_bits(tiny_run: Path, tmp_path: Path) -> None:
    folder = structured_run(tiny_run, tmp_path / "run", dense=True)
    _, mask = load_ticket(folder / "ticket")
    report = export_all(folder)
    for name in SPARSE:
        record = report.files[FILES[name]]
        assert record.encoding == metadata_of(path_of(folder, name))["encoding"] == "compact"
        assert record.formula.mask == record.formula.values == 0
        assert record.formula.entropy_bound == record.formula.total
        assert record.pruned == mask.pruned and record.prunable == mask.size
        assert not OnnxFile(path_of(folder, name)).model.functions or name == "sparse-int8"


# -- Checks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPARSE)
def test_figures_of_good_files(
    run: Path, name: str, ticket: tuple[LxmertForQuestionAnswering, Mask]
) -> None:
    model, mask = ticket
    file = OnnxFile(path_of(run, name))
    found = check_structure(file, mask)
    assert found == check_structure(file)
    assert (found.pruned, found.prunable) == (mask.pruned, mask.size)
    assert found.zeros >= found.pruned
    assert found.zeros == found.pruned or name != "sparse-fp32"
    assert (check_weights(file, model).largest_weight_difference == 0) == (name == "sparse-fp32")


@pytest.fixture
def verify(command: Command, run: Path) -> Any:
    def check(path: Path, *, with_run: bool = True) -> Outcome:
        return command("verify", path, *(["--run", run] if with_run else []))

    return check


@pytest.mark.parametrize("name", SPARSE)
def test_verify(run: Path, verify: Any, name: str) -> None:
    outcome = verify(path_of(run, name))
    assert outcome.code == 0 and outcome.out.endswith("verified\n"), outcome
    lines = outcome.out.splitlines()
    assert "encoding: compact+bitmask; pattern: unstructured" in lines
    # The language's and vision's only layers have lost both heads and all neurons.
    assert "heads left: 4 of 8 (language 0 of 2, vision 1 of 2, cross-modality 3 of 4)" in lines
    assert (
        "neurons left: 48 of 144 (language 32 of 48, vision 0 of 48, cross-modality 16 of 48)"
        in lines
    )


def other_structure(**changes: Any) -> str:
    def change(text: str) -> str:
        structure = json.loads(text)
        for name, entry in changes.items():
            structure[INTERMEDIATE if name == "neurons" else f"{NO_HEADS}.self"] = entry
        return json.dumps({name: entry for name, entry in structure.items() if entry})

    return change  # type: ignore[return-value]


def with_structure(change: Any) -> Any:
    def alter(model: ModelProto) -> None:
        (item,) = [item for item in model.metadata_props if item.key == "structure"]
        item.value = change(item.value)

    return alter


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neurons": None}, "states another sparsity"),
        ({"neurons": {"neurons": [31, 48], "kept": "ffffff7f0000"}}, "other heads or neurons"),
        ({"neurons": {"neurons": [30, 48], "kept": "ffffff7f0000"}}, "do not fit each other"),
        ({"neurons": {"neurons": [32, 48], "kept": "ffffffff"}}, "do not hold"),
        ({"neurons": {"neurons": [32, 32], "kept": "ffffffff"}}, "do not fit each other"),
        ({"neurons": {"kept": "ff"}}, "damaged"),
        ({"heads": {"heads": [1, 2], "width": 16, "kept": "01"}}, "other heads or neurons"),
        ({"heads": {"heads": [0, 2], "width": 17, "kept": "00"}}, "states another sparsity"),
        ({"heads": {"heads": [0, 2], "width": 0, "kept": "00"}}, "do not fit each other"),
        ({"heads": None}, "states another sparsity"),
    ],
)
def test_false_statements_about_units(
    run: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    for name in ("sparse-fp32", "sparse-int8"):
        file = altered(path_of(run, name), tmp_path, with_structure(other_structure(**changes)))
        with pytest.raises(ModelError, match=message) as caught:
            check_structure(file)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("attribute", ["q_num_heads", "kv_num_heads"])
def test_attention_that_splits_into_other_heads(run: Path, tmp_path: Path, attribute: str) -> None:
    def split(model: ModelProto) -> None:
        """Two heads of 8 elements, where the metadata state one of 16."""
        first = next(node for node in model.graph.node if node.op_type == "Attention")
        for found in first.attribute:
            if found.name == attribute or attribute == "q_num_heads":
                found.i = 2 * found.i if found.name.endswith("num_heads") else found.i

    file = altered(path_of(run, "sparse-fp16"), tmp_path, split)
    with pytest.raises(ModelError, match="other heads or neurons|not a valid ONNX model"):
        check_structure(file)


def test_a_structure_that_is_not_json(run: Path, tmp_path: Path) -> None:
    for text in ("{", "[]", '{"lxmert.encoder.layer.0.intermediate": 3}', '{"x": {"neurons": 1}}'):
        file = altered(path_of(run, "sparse-fp16"), tmp_path, set_metadata("structure", text))
        with pytest.raises(ModelError, match="damaged"):
            check_structure(file)


def test_other_units_of_the_same_number(
    run: Path, tmp_path: Path, ticket: tuple[LxmertForQuestionAnswering, Mask]
) -> None:
    """Valid by itself; the mask and the model tell."""
    model, mask = ticket
    entry = {"neurons": [32, 48], "kept": "ffffffff0000"}
    change = with_structure(other_structure(neurons=entry))
    file = altered(path_of(run, "sparse-fp16"), tmp_path, change)
    check_structure(file)
    with pytest.raises(ModelError, match="is not pruned where|lacks neurons that are not pruned"):
        check_structure(file, mask)
    with pytest.raises(ModelError, match=f"lacks units of {INTERMEDIATE} that the model uses"):
        check_weights(file, model)


def test_a_mask_that_prunes_less(
    run: Path, ticket: tuple[LxmertForQuestionAnswering, Mask]
) -> None:
    """One weight of a removed row is not pruned: it does not matter, if the columns are."""
    _, mask = ticket
    file = OnnxFile(path_of(run, "sparse-fp16"))
    row = {name: keep.clone() for name, keep in mask.items()}
    row[f"{INTERMEDIATE}.dense.weight"][0, 5] = True
    check_structure(file, Mask(row))
    both = {name: keep.clone() for name, keep in row.items()}
    both["lxmert.encoder.layer.0.output.dense.weight"][7, 0] = True
    with pytest.raises(ModelError, match=f"{INTERMEDIATE} lacks neurons that are not pruned"):
        check_structure(file, Mask(both))


def test_a_weight_of_a_dense_matrix_that_the_mask_prunes(
    run: Path, ticket: tuple[LxmertForQuestionAnswering, Mask], tiny_run: Path, tmp_path: Path
) -> None:
    _, mask = ticket
    folder = structured_run(tiny_run, tmp_path / "run")
    name = "answer_head.logit_fc.0.weight"
    kept = {key: keep.clone() for key, keep in mask.items()}
    kept[name][:] = True
    kept[name][0, 0] = False
    model = LxmertForQuestionAnswering.from_pretrained(folder / "ticket")
    with torch.no_grad():
        weight = dict(model.named_parameters())[name]
        weight[weight == 0] = 0.25
        weight[0, :2] = torch.tensor([0.0, 1.0])
    model.save_pretrained(folder / "ticket")
    Mask(kept).save(folder / "ticket" / "mask.safetensors")
    export_all(folder)
    file = OnnxFile(path_of(folder, "sparse-int8"))
    assert name not in EncodedWeights(file).pruned
    check_structure(file, Mask(kept))
    kept[name][0, 0], kept[name][0, 1] = True, False
    with pytest.raises(ModelError, match=f"{name} is not pruned where the ticket's mask says"):
        check_structure(file, Mask(kept))


# -- Attention to the regions -----------------------------------------------------------------


@pytest.mark.parametrize("name", SPARSE)
def test_attention_of_the_head_that_remains(
    run: Path, name: str, ticket: tuple[LxmertForQuestionAnswering, Mask]
) -> None:
    stock_model = LxmertForQuestionAnswering.from_pretrained(run / "ticket").eval()
    inputs = some_inputs(stock_model.config, 7, 11, 5)
    tensors = {key: torch.from_numpy(array) for key, array in inputs.items()}
    shares = stock_model(**tensors, output_attentions=True).cross_encoder_attentions[-1]
    expected = shares[:, 1, 0].detach().numpy()  # of two heads, the first is removed
    model = OnnxVqaModel(path_of(run, name), threads=1, attention=True)
    logits, found = model.logits_and_attention(inputs)
    assert np.array_equal(logits, model.logits(inputs))
    tolerance = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.1}[name.removeprefix("sparse-")]
    np.testing.assert_allclose(found, expected, atol=tolerance)


# -- Unreachable parts ------------------------------------------------------------------------


def test_a_ticket_that_never_looks_at_the_picture(
    tiny_run: Path, tmp_path: Path, command: Command
) -> None:
    """Without heads across, the whole visual stream is dropped."""
    folder = structured_run(tiny_run, tmp_path / "run", {"visual_attention.att": "0"})
    report = export_all(folder)
    for name in SPARSE:
        path = path_of(folder, name)
        names = EncodedWeights(OnnxFile(path)).names
        assert not [key for key in names if ".r_layers." in key or ".visn_" in key]
        assert report.files[FILES[name]].encoding == "compact+bitmask"
        outcome = command("verify", path, "--run", folder)
        assert outcome.code == 0, outcome
        model = OnnxVqaModel(path, threads=1, attention=True)
        inputs = some_inputs(load_ticket(folder / "ticket")[0].config, 3, 5, 4)
        logits, attention = model.logits_and_attention(inputs)
        inputs["visual_feats"] += 1
        assert np.array_equal(model.logits(inputs), logits)
        assert attention.shape == (3, 4) and not attention.any()
