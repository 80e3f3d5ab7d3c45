"""A dataset's fingerprint."""

from pathlib import Path

from dataset_files import split_files, write_official, write_regions, write_yaml

from lxcompress.data.dataset import open_dataset


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    write_regions(tmp_path / "r", ["1", "2"])
    train = split_files(tmp_path, "train", [1, 2], regions="r")
    folder = write_yaml(tmp_path, train=train, min_occurrences=1)
    seen = {open_dataset(folder).fingerprint}
    assert {open_dataset(folder).fingerprint} == seen

    write_regions(tmp_path / "other", ["1", "2"], feature_size=9)
    write_yaml(tmp_path, train={**train, "regions": "other"}, min_occurrences=1)
    seen.add(open_dataset(folder).fingerprint)
    write_yaml(tmp_path, train=train, min_occurrences=2)
    seen.add(open_dataset(folder).fingerprint)
    write_official(tmp_path, "train", [1, 2], answer="no")
    seen.add(open_dataset(folder).fingerprint)
    assert len(seen) == 4
