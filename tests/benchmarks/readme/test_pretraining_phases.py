"""The benchmark of the pre-training phases finds what runs of `lxcompress prune` find."""

from pathlib import Path

from tiny import run_lottery, settings

from benchmarks.readme.pretraining_phases import compare
from lxcompress.data.dataset import Dataset


def test_accuracies_are_those_of_runs_from_each_start(
    tiny_model: Path, tiny_data: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    options = settings(tiny_model, tiny_data)
    del options["model"]
    found = compare({"one": str(tiny_model)}, options, jobs=1, sparsities=[0.2])
    _, result = run_lottery(
        tmp_path / "run", tiny_dataset, settings(tiny_model, tiny_data, sparsity=0.2)
    )
    assert found["rows"] == [
        {
            "start_weights": "one",
            "dense": result["dense"]["accuracy"],
            "tickets": [{"sparsity": 0.2, "accuracy": result["ticket"]["accuracy"]}],
        }
    ]
    assert found["recipe"] == {"epochs": 1, "batch-size": 16, "learning-rate": 1e-3}
    assert found["dataset"]["fingerprint"] == tiny_dataset.fingerprint
