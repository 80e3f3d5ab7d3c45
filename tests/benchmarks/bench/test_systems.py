"""Only systems that differ in one respect are compared as such."""

from benchmarks.bench.schema import Model, Precision, System
from benchmarks.bench.systems import (
    COMPILED,
    CONTROL,
    DENSE_CONTROL,
    EAGER,
    ONNX,
    pairs,
    speed_pairs,
)

MODELS: tuple[Model, Model] = ("dense", "ticket")
PRECISIONS: tuple[Precision, Precision] = ("fp32", "int8")


def named(systems: list[System]) -> list[tuple[str, str, str]]:
    return [(of.name, against.name, isolates) for of, against, isolates in pairs(systems)]


def test_pairs() -> None:
    systems = [System.of(ONNX, model, precision) for model in MODELS for precision in PRECISIONS]
    assert named(systems) == [
        ("ONNX Runtime dense int8", "ONNX Runtime dense fp32", "precision"),
        ("ONNX Runtime ticket fp32", "ONNX Runtime dense fp32", "pruning"),
        ("ONNX Runtime ticket int8", "ONNX Runtime dense int8", "pruning"),
        ("ONNX Runtime ticket int8", "ONNX Runtime dense fp32", "both"),
    ]


def test_runtimes_are_not_compared() -> None:
    systems = [
        System.of(runtime, model, "fp32") for runtime in (EAGER, COMPILED) for model in MODELS
    ]
    assert named(systems) == [
        ("PyTorch eager ticket fp32", "PyTorch eager dense fp32", "pruning"),
        ("PyTorch compiled ticket fp32", "PyTorch compiled dense fp32", "pruning"),
    ]
    assert not named([System.of(ONNX, "ticket", "int8"), System.of(EAGER, "dense", "int8")])


def test_the_control_is_compared_with_itself() -> None:
    assert named([System.of(ONNX, "dense", "fp32"), CONTROL]) == [
        ("ONNX Runtime (control) dense fp32", "ONNX Runtime dense fp32", "control")
    ]


def speeds(systems: list[System], *, compact: bool) -> list[tuple[str, str, str]]:
    found = speed_pairs(systems, compact=compact)
    return [(of.name, against.name, isolates) for of, against, isolates in found]


def test_speed_is_attributed_to_runtime_precision_and_pruning() -> None:
    systems = [System.of(EAGER, model, "fp32") for model in MODELS]
    systems += [System.of(ONNX, model, precision) for model in MODELS for precision in PRECISIONS]
    found = speeds([*systems, CONTROL], compact=True)
    assert set(found) == {
        ("PyTorch eager ticket fp32", "PyTorch eager dense fp32", "sparsity"),
        ("ONNX Runtime dense fp32", "PyTorch eager dense fp32", "runtime"),
        ("ONNX Runtime dense int8", "ONNX Runtime dense fp32", "precision"),
        ("ONNX Runtime ticket fp32", "ONNX Runtime dense fp32", "structure"),
        ("ONNX Runtime ticket int8", "ONNX Runtime dense int8", "structure"),
        ("ONNX Runtime ticket fp32", "PyTorch eager dense fp32", "all"),
        ("ONNX Runtime ticket int8", "PyTorch eager dense fp32", "all"),
        ("ONNX Runtime (control) dense fp32", "ONNX Runtime dense fp32", "control"),
    }
    assert len(found) == 8
    unstructured = {isolates for *_, isolates in speeds(systems, compact=False)}
    assert unstructured == {"sparsity", "runtime", "precision", "all"}


def test_nothing_is_attributed_without_pytorch() -> None:
    systems = [System.of(ONNX, model, "fp32") for model in MODELS]
    assert speeds(systems, compact=True) == [
        ("ONNX Runtime ticket fp32", "ONNX Runtime dense fp32", "structure")
    ]


def test_the_dense_control_is_compared_in_pytorch() -> None:
    systems = [System.of(EAGER, model, "fp32") for model in MODELS]
    assert named([*systems, DENSE_CONTROL]) == [
        ("PyTorch eager ticket fp32", "PyTorch eager dense fp32", "pruning"),
        ("PyTorch eager ticket fp32", "PyTorch eager dense control fp32", "pruning"),
        ("PyTorch eager dense control fp32", "PyTorch eager dense fp32", "training"),
    ]
