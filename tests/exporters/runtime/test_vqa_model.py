"""Files decoded by us before ONNX Runtime loads them: the logits of stock ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from exported import FILES, in_onnx, same_bits, some_inputs, stock
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper
from transformers import LxmertConfig

from exporters.graph.onnx_file import data_file, write_model
from exporters.runtime import OnnxVqaModel, pad_regions, session, vqa_model
from exporters.runtime.session import stock_session
from lxcompress.data.batches import EncodedQuestions
from lxcompress.data.dataset import Dataset
from lxcompress.errors import LxcompressError, ModelError
from lxcompress.evaluation.predict import predict
from lxcompress.model.answer_head import labels_of
from lxcompress.model.lxmert import load_model, read_config
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.vision.regions import Regions


@pytest.fixture(scope="module")
def config(tiny_exported: Path) -> LxmertConfig:
    return read_config(tiny_exported / "ticket")


@pytest.fixture(scope="module")
def questions(tiny_dataset: Dataset) -> tuple[list[str], list[Regions]]:
    """All validation questions, and the regions of their pictures."""
    split = tiny_dataset.split("val")
    pictures = []
    for question in split.questions:
        found = split.regions.gather([question.image_id])
        count = int(found.num_regions[0])
        features = found.features[0, :count].astype(np.float32)
        pictures.append(Regions(features, found.boxes[0, :count]))
    return [question.text for question in split.questions], pictures


def file_of(run: Path, name: str) -> Path:
    return run / "onnx" / FILES[name]


# -- Answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_logits_to_the_bit(
    tiny_exported: Path, config: LxmertConfig, name: str, temporary: Path
) -> None:
    path = file_of(tiny_exported, name)
    model = OnnxVqaModel(path, threads=1)
    for sizes in ((1, 2, 1), (7, 11, 5), (64, 20, 3)):
        inputs = some_inputs(config, *sizes)
        found = model.logits(inputs)
        assert found.shape == (sizes[0], config.num_qa_labels)
        assert same_bits(found, in_onnx(path, inputs))
    # The temporary weights are deleted while the session is still in use.
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_answers_to_real_questions(
    tiny_exported: Path,
    tiny_dataset: Dataset,
    questions: tuple[list[str], list[Regions]],
    name: str,
) -> None:
    folder = tiny_exported / ("ticket" if name.startswith("sparse-") else "dense")
    model = load_model(folder)
    split = tiny_dataset.split("val")
    data = EncodedQuestions(split.questions, split.regions, load_tokenizer(folder), max_tokens=20)
    expected = list(predict(model, data, torch.device("cpu")).values())
    assert len(set(expected)) > 1
    exported = OnnxVqaModel(file_of(tiny_exported, name))
    assert exported.labels == labels_of(model.config)
    found = exported.answer(*questions)
    same = np.mean([one == other for one, other in zip(found, expected, strict=True)])
    assert same >= {"fp32": 1, "fp16": 0.97, "int8": 0.9}[name.removeprefix("sparse-")]


@pytest.mark.parametrize("name", ["sparse-fp32", "sparse-fp16"])
def test_pictures_with_different_numbers_of_regions(
    tiny_exported: Path, questions: tuple[list[str], list[Regions]], name: str
) -> None:
    """Padding to the longest question and the most regions changes nothing."""
    model, random = OnnxVqaModel(file_of(tiny_exported, name)), np.random.default_rng(0)
    texts = [f"{text} {'now ' * (number % 5)}" for number, text in enumerate(questions[0][:20])]
    pictures = [
        Regions(
            random.standard_normal((1 + number % 7, picture.features.shape[1]), np.float32),
            random.random((1 + number % 7, 4), np.float32),
        )
        for number, picture in enumerate(questions[1][:20])
    ]
    together = model.logits(model.encode(texts) | pad_regions(pictures))
    alone = np.concatenate(
        [
            model.logits(model.encode([text]) | pad_regions([picture]))
            for text, picture in zip(texts, pictures, strict=True)
        ]
    )
    tolerance = {"sparse-fp32": 1e-5, "sparse-fp16": 1e-2}[name]
    assert np.abs(together - alone).max() < tolerance * alone.std()
    labels = [model.labels[index] for index in alone.argmax(axis=1)]
    assert model.answer(texts, pictures) == labels
    assert len(set(labels)) > 1


def test_inputs_by_hand(tiny_exported: Path) -> None:
    one = Regions(np.array([[1, 2]], np.float32), np.array([[0, 0.25, 0.5, 1]], np.float32))
    two = Regions(np.array([[3, 4], [5, 6]], np.float16), np.full((2, 4), 0.5, np.float32))
    found = pad_regions([one, two])
    assert {name: array.dtype for name, array in found.items()} == {
        "visual_feats": np.float32,
        "visual_pos": np.float32,
        "visual_attention_mask": np.int64,
    }
    assert found["visual_feats"].tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]
    assert found["visual_pos"].tolist() == [[[0, 0.25, 0.5, 1], [0] * 4], [[0.5] * 4, [0.5] * 4]]
    assert found["visual_attention_mask"].tolist() == [[1, 0], [1, 1]]

    encoded = OnnxVqaModel(file_of(tiny_exported, "sparse-int8")).encode(["", "is it red? " * 9])
    assert {name: (array.dtype, array.shape) for name, array in encoded.items()} == {
        name: (np.dtype(np.int64), (2, 20))
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    assert encoded["attention_mask"].sum(axis=1).tolist() == [2, 20]  # [CLS] and [SEP] alone
    assert not encoded["token_type_ids"].any() and not encoded["input_ids"][0, 2:].any()


def test_external_data(tiny_exported: Path, config: LxmertConfig, tmp_path: Path) -> None:
    whole, path = file_of(tiny_exported, "sparse-int8"), tmp_path / "model.onnx"
    write_model(onnx.load(whole), path, limit=1000)
    assert data_file(path).exists()
    inputs = some_inputs(config, 3, 8, 4)
    assert same_bits(OnnxVqaModel(path, threads=1).logits(inputs), in_onnx(whole, inputs))


def test_attributes(tiny_exported: Path) -> None:
    model = OnnxVqaModel(str(file_of(tiny_exported, "sparse-int8")), threads=1)
    assert model.device == "cpu" and model.metadata["variant"] == "sparse-int8"
    assert model.session.get_providers() == ["CPUExecutionProvider"]
    assert model.session.get_session_options().intra_op_num_threads == 1


# -- On a GPU ---------------------------------------------------------------------------------


@pytest.fixture
def pretended_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let "cuda" mean the CPU provider, so that the code for the GPU can run here."""
    monkeypatch.setitem(session.PROVIDERS, "cuda", "CPUExecutionProvider")
    create = onnxruntime.InferenceSession

    def once(*arguments: Any, providers: list[str], **options: Any) -> Any:
        # ONNX Runtime rejects the same provider twice.
        return create(*arguments, providers=list(dict.fromkeys(providers)), **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", once)


@pytest.mark.usefixtures("pretended_cuda")
@pytest.mark.parametrize("name", FILES)
def test_logits_on_the_gpu(tiny_exported: Path, config: LxmertConfig, name: str) -> None:
    """An int8 file is decoded to fp16 and computes in fp16; the others compute as stored."""
    path, inputs = file_of(tiny_exported, name), some_inputs(config, 9, 11, 6)
    transposed = {key: np.asfortranarray(array) for key, array in inputs.items()}
    found = OnnxVqaModel(path, "cuda", threads=1).logits(transposed)
    if not name.endswith("int8"):
        assert same_bits(found, in_onnx(path, inputs))
        return
    half = in_onnx(file_of(tiny_exported, name.replace("int8", "fp16")), inputs)
    integer = in_onnx(path, inputs)
    assert found.dtype == np.float32
    # Weights have 7 bits as in the int8 file, but activations are not quantized.
    assert 0 < np.abs(found - half).max() < 0.2 * half.std()
    assert 0 < np.abs(found - integer).max() < 0.3 * half.std()


@pytest.mark.usefixtures("pretended_cuda")
def test_int8_on_the_gpu_has_no_float32(
    tiny_exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[ModelProto] = []
    open_session = vqa_model.open_session

    def watch(path: Path, *arguments: Any, **options: Any) -> onnxruntime.InferenceSession:
        seen.append(onnx.load(path))
        return open_session(path, *arguments, **options)

    monkeypatch.setattr(vqa_model, "open_session", watch)
    OnnxVqaModel(file_of(tiny_exported, "sparse-int8"), "cuda")
    (model,) = seen
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert kinds <= {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64}
    assert not model.functions and {node.domain for node in model.graph.node} == {""}


# -- Files that are rejected ------------------------------------------------------------------


def test_a_model_of_another_tool(tmp_path: Path, temporary: Path) -> None:
    one = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    two = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", [one], [two])
    opsets = [helper.make_opsetid("", 23)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    stock(tmp_path / "model.onnx")  # it is a valid model
    with pytest.raises(ModelError, match=r"model.onnx was not written by `lxcompress export`$"):
        OnnxVqaModel(tmp_path / "model.onnx")
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("key", ["lxcompress", "labels", "tokenizer", "precision", "all"])
def test_missing_metadata(tiny_exported: Path, tmp_path: Path, key: str) -> None:
    """For example after `onnxsim`, which drops metadata that it does not know."""
    model = onnx.load(file_of(tiny_exported, "fp32"))
    left = [item for item in model.metadata_props if key not in (item.key, "all")]
    del model.metadata_props[:]
    model.metadata_props.extend(left)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="was not written by `lxcompress export`"):
        OnnxVqaModel(tmp_path / "model.onnx")


def set_metadata(key: str, value: str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        (item,) = [item for item in model.metadata_props if item.key == key]
        item.value = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        set_metadata("labels", '["yes", '),
        set_metadata("labels", "7"),
        set_metadata("labels", '["yes"]'),
        set_metadata("tokenizer", "{}"),
        set_metadata("tokenizer", ""),
        lambda model: model.graph.node.pop(),
        lambda model: model.graph.initializer.pop(20),
        lambda model: model.opset_import.pop(),
        lambda model: setattr(model.graph.node[-1], "op_type", "Nonsense"),
        lambda model: setattr(model, "ir_version", 9999),
    ],
)
@pytest.mark.parametrize("name", ["fp16", "sparse-int8"])
def test_damaged_files(
    tiny_exported: Path,
    tmp_path: Path,
    temporary: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    change: Callable[[ModelProto], Any],
) -> None:
    model = onnx.load(file_of(tiny_exported, name))
    change(model)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    capfd.readouterr()
    with pytest.raises(ModelError) as caught:
        OnnxVqaModel(tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "model.onnx") in str(caught.value)
    assert not list(temporary.iterdir())
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["fp32", "sparse-int8"])
def test_names_that_are_not_utf8(
    tiny_exported: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """ONNX Runtime raises a Python error; with its fallback it would print and try again."""
    content = file_of(tiny_exported, name).read_bytes()
    assert b"Attention" in content
    path = tmp_path / "model.onnx"
    path.write_bytes(content.replace(b"Attention", b"\xf5ttention"))
    for use in (OnnxVqaModel, stock_session):
        with pytest.raises(ModelError) as caught:
            use(path)
        assert str(path) in str(caught.value)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@settings(max_examples=60, deadline=None)
@given(position=st.integers(-9000, 20_000), flip=st.integers(1, 255))
def test_any_changed_byte_outside_the_weights(
    tiny_exported: Path, tmp_path_factory: pytest.TempPathFactory, position: int, flip: int
) -> None:
    """The graph is at the start, labels and tokenizer are at the end of the file."""
    content = bytearray(file_of(tiny_exported, "sparse-int8").read_bytes())
    content[position] ^= flip
    path = tmp_path_factory.mktemp("damage") / "model.onnx"
    path.write_bytes(content)
    try:
        model = OnnxVqaModel(path, threads=1)
    except ModelError as problem:
        assert "\n" not in str(problem)
    else:
        assert model.labels


def test_a_full_disk(tiny_exported: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")

    def full(path: Path) -> Path:
        (path.parent / f".{path.name}.full").symlink_to("/dev/full")
        return path.parent / f".{path.name}.full"

    monkeypatch.setattr("lxcompress.system.files.temporary_name", full)
    with pytest.raises(LxcompressError, match=f"no space left on the disk .*{temporary}"):
        OnnxVqaModel(file_of(tiny_exported, "sparse-fp32"))
    assert not list(temporary.iterdir())
