"""Only systems that differ in one respect are compared as such."""

from benchmarks.bench.schema import Model, Precision, System
from benchmarks.bench.systems import COMPILED, CONTROL, EAGER, ONNX, pairs

MODELS: tuple[Model, Model] = ("dense", "ticket")
PRECISIONS: tuple[Precision, Precision] = ("fp32", "int8")


def named(systems: list[System]) -> list[tuple[str, str, str]]:
    return [(of.name, against.name, isolates) for of, against, isolates in pairs(systems)]


def test_pairs() -> None:
    systems = [System.of(ONNX, model, precision) for model in MODELS for precision in PRECISIONS]
    assert named(systems) == [
        ("ONNX Runtime dense int8", "ONNX Runtime dense fp32", "precision"),
        ("ONNX Runtime ticket fp32", "ONNX Runtime dense fp32", "sparsity"),
        ("ONNX Runtime ticket int8", "ONNX Runtime dense int8", "sparsity"),
        ("ONNX Runtime ticket int8", "ONNX Runtime dense fp32", "both"),
    ]


def test_runtimes_are_not_compared() -> None:
    systems = [
        System.of(runtime, model, "fp32") for runtime in (EAGER, COMPILED) for model in MODELS
    ]
    assert named(systems) == [
        ("PyTorch eager ticket fp32", "PyTorch eager dense fp32", "sparsity"),
        ("PyTorch compiled ticket fp32", "PyTorch compiled dense fp32", "sparsity"),
    ]
    assert not named([System.of(ONNX, "ticket", "int8"), System.of(EAGER, "dense", "int8")])


def test_the_control_is_compared_with_itself() -> None:
    assert named([System.of(ONNX, "dense", "fp32"), CONTROL]) == [
        ("ONNX Runtime (control) dense fp32", "ONNX Runtime dense fp32", "control")
    ]
