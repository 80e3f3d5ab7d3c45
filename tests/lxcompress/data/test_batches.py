"""Batches: padding, masks, targets, and an order that depends on seed and epoch alone."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_files import some_regions, write_regions
from transformers import BertTokenizer

from lxcompress.data.batches import (
    EncodedQuestions,
    evaluation_batches,
    model_inputs,
    training_batches,
)
from lxcompress.data.dataset import Dataset
from lxcompress.data.questions.question import Question
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import DataError, LxcompressError
from lxcompress.model.tokenizer import build_tokenizer, load_tokenizer

TEXTS = ("is it red", "what is it", "a b c d e f g h", "is")
# Picture n has 1 + n % 4 regions.
IMAGES = ("2", "0", "3", "1")


@pytest.fixture
def tokenizer() -> BertTokenizer:
    return build_tokenizer(TEXTS)


@pytest.fixture
def regions(tmp_path: Path) -> RegionStore:
    return RegionStore(write_regions(tmp_path / "regions", [str(n) for n in range(4)]))


def questions(count: int = 4) -> list[Question]:
    people = ("red",) * 3 + ("blue",) * 2 + ("green",) + ("violet",) * 4
    return [
        Question(10 + n, IMAGES[n % 4], TEXTS[n % 4], answers=people if n % 4 else ("red",) * 10)
        for n in range(count)
    ]


def encoded(
    regions: RegionStore, tokenizer: BertTokenizer, count: int = 4, max_tokens: int = 8
) -> EncodedQuestions:
    return EncodedQuestions(
        questions(count),
        regions,
        tokenizer,
        max_tokens=max_tokens,
        answers=["blue", "red", "green"],
    )


def all_rows(batches: object) -> list[list[int]]:
    return [batch["rows"].tolist() for batch in batches]  # type: ignore[attr-defined]


# -- One batch --------------------------------------------------------------------------------


def test_padded_to_the_longest_question_of_the_batch(
    regions: RegionStore, tokenizer: BertTokenizer
) -> None:
    batch = encoded(regions, tokenizer)[[0, 3]]
    word = tokenizer.convert_tokens_to_ids
    first = ["[CLS]", "is", "it", "red", "[SEP]"]
    second = ["[CLS]", "is", "[SEP]", "[PAD]", "[PAD]"]
    assert batch["input_ids"].tolist() == [word(first), word(second)]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0] * 5] * 2
    assert batch["rows"].tolist() == [0, 3]


def test_long_questions_are_cut_and_still_end(
    regions: RegionStore, tokenizer: BertTokenizer
) -> None:
    (ids,) = encoded(regions, tokenizer)[[2]]["input_ids"].tolist()
    expected = ["[CLS]", "a", "b", "c", "d", "e", "f", "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(ids) == expected


def test_regions_padded_to_the_picture_with_most(
    regions: RegionStore, tokenizer: BertTokenizer
) -> None:
    batch = encoded(regions, tokenizer)[[0, 1]]  # pictures 2 and 0: three regions and one
    assert batch["visual_feats"].shape == (2, 3, 8)
    assert batch["visual_attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    features, boxes = some_regions(2, 3, 8)
    assert np.array_equal(batch["visual_feats"][0].numpy(), features)
    assert np.array_equal(batch["visual_pos"][0].numpy(), boxes)
    features, _ = some_regions(0, 1, 8)
    assert np.array_equal(batch["visual_feats"][1, :1].numpy(), features)
    assert not batch["visual_feats"][1, 1:].any() and not batch["visual_pos"][1, 1:].any()


def test_types(regions: RegionStore, tokenizer: BertTokenizer) -> None:
    batch = encoded(regions, tokenizer)[[0, 1]]
    assert {name: tensor.dtype for name, tensor in batch.items()} == {
        "input_ids": torch.int64,
        "attention_mask": torch.int64,
        "token_type_ids": torch.int64,
        "visual_feats": torch.float16,
        "visual_pos": torch.float32,
        "visual_attention_mask": torch.int64,
        "rows": torch.int64,
        "targets": torch.float32,
    }
    inputs = model_inputs(batch, torch.device("cpu"))
    assert inputs.keys() == batch.keys() - {"rows", "targets"}
    assert inputs["visual_feats"].dtype == torch.float32


def test_targets_by_hand(regions: RegionStore, tokenizer: BertTokenizer) -> None:
    batch = encoded(regions, tokenizer)[[0, 1]]
    # blue, red, green; "violet", which four gave, is not in the list. Of ten people, n who agree
    # score n/10 * min(1, (n-1)/3) + (10-n)/10 * min(1, n/3): 0.3, 0.6 and 0.9 for 1, 2 and 3.
    expected = torch.tensor([[0.0, 1.0, 0.0], [0.6, 0.9, 0.3]])
    torch.testing.assert_close(batch["targets"], expected)


def test_no_targets_without_answers(regions: RegionStore, tokenizer: BertTokenizer) -> None:
    questions = [Question(1, "0", "is it")]
    batch = EncodedQuestions(questions, regions, tokenizer, max_tokens=8)[[0]]
    assert "targets" not in batch


def test_a_list_that_shares_no_answer(regions: RegionStore, tokenizer: BertTokenizer) -> None:
    with pytest.raises(DataError, match="no question has an answer that is in the answer list"):
        EncodedQuestions(questions(), regions, tokenizer, max_tokens=8, answers=["pink"])


# -- Their order ------------------------------------------------------------------------------


def test_every_question_once_an_epoch_except_in_the_last_short_batch(
    regions: RegionStore, tokenizer: BertTokenizer
) -> None:
    data = encoded(regions, tokenizer, 23)
    batches = training_batches(data, 5, epochs=3, seed=1)
    rows = all_rows(batches)
    assert len(batches) == len(rows) == 12
    assert {len(batch) for batch in rows} == {5}
    epochs = [sum(rows[start : start + 4], []) for start in (0, 4, 8)]
    for epoch in epochs:
        assert len(set(epoch)) == 20 and set(epoch) <= set(range(23))
    assert len(set(map(tuple, epochs))) == 3
    full = all_rows(training_batches(encoded(regions, tokenizer, 20), 5, epochs=1, seed=1))
    assert sorted(sum(full, [])) == list(range(20))


def test_order_depends_on_the_seed_alone(regions: RegionStore, tokenizer: BertTokenizer) -> None:
    data = encoded(regions, tokenizer, 23)
    torch.manual_seed(0)
    first = all_rows(training_batches(data, 5, epochs=2, seed=1))
    torch.manual_seed(99)
    np.random.seed(3)
    assert all_rows(training_batches(data, 5, epochs=2, seed=1)) == first
    assert all_rows(training_batches(data, 5, epochs=1, seed=1)) == first[:4]
    assert all_rows(training_batches(data, 5, epochs=2, seed=2)) != first


@pytest.mark.parametrize("first_step", range(13))
def test_starting_anywhere_gives_the_rest(
    first_step: int, regions: RegionStore, tokenizer: BertTokenizer
) -> None:
    data = encoded(regions, tokenizer, 23)
    whole = all_rows(training_batches(data, 5, epochs=3, seed=1))
    rest = training_batches(data, 5, epochs=3, seed=1, first_step=first_step)
    assert all_rows(rest) == whole[first_step:]
    assert len(rest) == 12 - first_step


def test_evaluation_batches_have_each_question_once(
    regions: RegionStore, tokenizer: BertTokenizer
) -> None:
    data = encoded(regions, tokenizer, 23)
    batches = list(evaluation_batches(data, 5))
    rows = [row for batch in batches for row in batch["rows"].tolist()]
    assert sorted(rows) == list(range(23))
    assert [len(batch["rows"]) for batch in batches] == [5, 5, 5, 5, 3]
    lengths = [int(n) for batch in batches for n in batch["attention_mask"].sum(1)]
    assert lengths == sorted(lengths)
    assert Counter(lengths) == Counter(
        3 + 2 * (n % 4 in (0, 1)) + 5 * (n % 4 == 2) for n in range(23)
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_features_are_one_line_from_any_process(
    workers: int, tiny_dataset: Dataset, tiny_model: Path, tmp_path: Path
) -> None:
    split = tiny_dataset.split("train")
    folder = tmp_path / "regions"
    shutil.copytree(split.regions.folders[0], folder)
    (shard,) = folder.glob("*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-4096:] = b"\xff" * 4096  # the last pictures' features become NaN
    shard.write_bytes(content)
    data = EncodedQuestions(
        split.questions, RegionStore(folder), load_tokenizer(tiny_model), max_tokens=20
    )
    with pytest.raises(DataError, match=r"\Apicture '\d+' has NaN or infinite values in .*\Z"):
        list(evaluation_batches(data, 32, workers))


def test_worker_processes_give_the_same_batches(tiny_dataset: Dataset, tiny_model: Path) -> None:
    split = tiny_dataset.split("train")
    data = EncodedQuestions(
        split.questions,
        split.regions,
        load_tokenizer(tiny_model),
        max_tokens=20,
        answers=tiny_dataset.answers,
    )
    alone, helped = (
        list(training_batches(data, 32, epochs=1, seed=5, first_step=4, workers=workers))
        for workers in (0, 1)
    )
    assert len(alone) == len(helped) == 6
    for one, other in zip(alone, helped, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


class _Dying(EncodedQuestions):
    """Whose second batch kills the process that loads it."""

    def arrays(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        if 8 in rows:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().arrays(rows)


def test_a_killed_worker_is_one_line(tiny_dataset: Dataset, tiny_model: Path) -> None:
    split = tiny_dataset.split("train")
    data = _Dying(split.questions[:16], split.regions, load_tokenizer(tiny_model), max_tokens=20)
    data.lengths = np.arange(16)  # batches in the questions' order
    with pytest.raises(LxcompressError, match=r"\Aa process that loads batches was killed, .*--w"):
        list(evaluation_batches(data, 8, workers=1))


class _Signalled(EncodedQuestions):
    """Whose second batch is signalled while it is loaded, as if to all processes of a terminal."""

    def arrays(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        if 8 in rows:
            os.kill(os.getpid(), signal.SIGINT)
            # From another process: PyTorch's workers end quietly if their parent sends it.
            subprocess.run(["kill", "-TERM", str(os.getpid())], check=True)
        return super().arrays(rows)


def test_workers_go_on_until_their_parent_stops(tiny_dataset: Dataset, tiny_model: Path) -> None:
    split = tiny_dataset.split("train")
    tokenizer = load_tokenizer(tiny_model)
    data = _Signalled(split.questions[:24], split.regions, tokenizer, max_tokens=20)
    data.lengths = np.arange(24)
    assert len(list(evaluation_batches(data, 8, workers=1))) == 3


_BATCHES_OF_WORKERS = """
import sys
from dataset_files import write_regions
from lxcompress.data.batches import EncodedQuestions, evaluation_batches
from lxcompress.data.questions.question import Question
from lxcompress.data.regions.store import RegionStore
from lxcompress.model.tokenizer import build_tokenizer

texts = ["what is this?"]
regions = RegionStore(write_regions(sys.argv[1], map(str, range(16)), feature_size=8192))
questions = [Question(n, str(n), *texts) for n in range(16)]
data = EncodedQuestions(questions, regions, build_tokenizer(texts), max_tokens=20)
print(sum(len(batch["rows"]) for batch in evaluation_batches(data, 8, workers=2)))
"""


def test_workers_need_no_shared_memory(tmp_path: Path) -> None:
    """A container has 64 MB of /dev/shm by default; here it is smaller than one batch."""
    mount = "mount -t tmpfs -o size=64k shm /dev/shm"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    support = str(Path(__file__).parents[2] / "support")
    path = os.pathsep.join([support, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", _BATCHES_OF_WORKERS, str(tmp_path / "regions")]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", *command],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "16\n"), done.stderr


# "spawn" is how processes start on macOS.
_SPAWNED_WORKER = """
import multiprocessing, sys
from pathlib import Path
from lxcompress.data.batches import EncodedQuestions, evaluation_batches
from lxcompress.data.dataset import open_dataset
from lxcompress.model.tokenizer import load_tokenizer

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    split = open_dataset(sys.argv[1]).split("val")
    tokenizer = load_tokenizer(Path(sys.argv[2]))
    data = EncodedQuestions(split.questions, split.regions, tokenizer, max_tokens=20)
    print(sum(len(batch["rows"]) for batch in evaluation_batches(data, 32, 1)))
"""


def test_workers_do_not_import_from_the_current_folder(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    script, hostile = tmp_path / "script.py", tmp_path / "hostile"
    script.write_text(_SPAWNED_WORKER)
    hostile.mkdir()
    (hostile / "struct.py").write_text("raise SystemExit('imported the wrong module')")
    done = subprocess.run(
        [sys.executable, str(script), str(tiny_data), str(tiny_model)],
        cwd=hostile,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "120\n", done.stderr
