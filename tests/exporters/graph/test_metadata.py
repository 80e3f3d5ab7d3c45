"""Metadata of exported files: the tokenizer's rules, the answers, the digest."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from exporters.graph.metadata import AnswerMetadata, digest
from lxcompress.data.dataset import Dataset
from lxcompress.model.answer_head import labels_of
from lxcompress.model.lxmert import read_config
from lxcompress.model.tokenizer import load_tokenizer

# -- The tokenizer ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizers(tiny_model: Path) -> tuple[Tokenizer, Callable[..., dict[str, list[list[int]]]]]:
    theirs = load_tokenizer(tiny_model)
    found = AnswerMetadata.of(labels_of(read_config(tiny_model)), theirs, 9)
    assert found.labels == ["yes", "no", "zebra"] and found.max_tokens == 9
    rules = Tokenizer.from_str(found.tokenizer)
    # The model's own tokenizer is not changed.
    assert theirs.backend_tokenizer.truncation is None
    return rules, theirs


def check_tokens(tokenizers: tuple[Tokenizer, Callable[..., dict]], texts: list[str]) -> None:
    ours, theirs = tokenizers
    found = ours.encode_batch(texts)
    expected = theirs(texts, truncation=True, max_length=9, padding=True)
    assert [each.ids for each in found] == expected["input_ids"]
    assert [each.attention_mask for each in found] == expected["attention_mask"]
    assert [each.type_ids for each in found] == expected["token_type_ids"]


def test_real_questions(
    tokenizers: tuple[Tokenizer, Callable[..., dict]], tiny_dataset: Dataset
) -> None:
    texts = [question.text for question in tiny_dataset.questions("val")]
    check_tokens(tokenizers, texts)
    assert {len(each.ids) for each in tokenizers[0].encode_batch(texts)} == {9}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=1, max_size=4))
def test_any_text(tokenizers: tuple[Tokenizer, Callable[..., dict]], texts: list[str]) -> None:
    check_tokens(tokenizers, texts)


# -- The digest ---------------------------------------------------------------------------------


def test_digest_by_hand() -> None:
    one, two = np.array([[1, 2], [3, 4]], np.float32), np.array([5], np.int8)
    text = b"a float32 (2, 2)\n" + one.tobytes() + b"b int8 (1,)\n" + two.tobytes()
    assert digest([("a", one), ("b", two)]) == hashlib.sha256(text).hexdigest()
    assert digest([("a", one.T.copy().T), ("b", two)]) == digest([("a", one), ("b", two)])


@pytest.mark.parametrize(
    "changed",
    [
        [("b", np.zeros(4, np.float32))],
        [("a", np.zeros(4, np.int32))],
        [("a", np.zeros((2, 2), np.float32))],
        [("a", np.array([0, 0, 0, -0.0], np.float32))],
        [("a", np.zeros(4, np.float32)), ("b", np.zeros(0, np.float32))],
        [],
    ],
)
def test_digests_differ(changed: list[tuple[str, np.ndarray]]) -> None:
    assert digest(changed) != digest([("a", np.zeros(4, np.float32))])
