"""The tokenizer of models that start without one."""

import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from lxcompress.model.tokenizer import build_tokenizer

TEXTS = ["What color is the cat?", "is the CAT red", "the Café, isn't it?"]


def test_words_of_the_texts_are_known() -> None:
    tokenizer = build_tokenizer(TEXTS)
    expected = ["what", "color", "is", "the", "red", "cat", "?"]
    assert tokenizer.tokenize("What color is the red CAT?") == expected
    assert tokenizer.tokenize("Café isn't") == ["cafe", "isn", "'", "t"]


def test_rarer_words_are_spelt_out() -> None:
    tokenizer = build_tokenizer(TEXTS, max_words=3)  # "the", "?" and "cat"
    expected = ["the", "cat", "i", "##s", "r", "##e", "##d"]
    assert tokenizer.tokenize("the cat is red") == expected
    assert tokenizer.tokenize("xylophone") == ["[UNK]"]  # no text has an x


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])), min_size=1))
def test_no_word_of_the_texts_is_lost(texts: list[str]) -> None:
    tokenizer = build_tokenizer(texts, max_words=1)
    special = set(tokenizer.all_special_tokens)
    for text in texts:
        if not any(token in text for token in special):
            assert "[UNK]" not in tokenizer.tokenize(text)


def test_framed_and_padded_as_bert_does() -> None:
    tokenizer = build_tokenizer(TEXTS)
    assert tokenizer.pad_token_id == 0  # LXMERT's embedding keeps row 0 for padding
    ids = tokenizer(["the cat", "is"], padding=True)["input_ids"]
    tokens = [tokenizer.convert_ids_to_tokens(row) for row in ids]
    assert tokens == [["[CLS]", "the", "cat", "[SEP]"], ["[CLS]", "is", "[SEP]", "[PAD]"]]
    assert tokenizer.mask_token == "[MASK]"
    assert tokenizer("the " * 50, truncation=True, max_length=20)["input_ids"][-1] == ids[0][-1]


def test_the_vocabulary_depends_on_the_texts_alone() -> None:
    shuffled = TEXTS * 3
    random.Random(0).shuffle(shuffled)
    assert build_tokenizer(shuffled).get_vocab() == build_tokenizer(TEXTS * 3).get_vocab()
    vocabulary = build_tokenizer(TEXTS).get_vocab()
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))


def test_saved_and_loaded(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(TEXTS)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.get_vocab() == tokenizer.get_vocab()
    for text in [*TEXTS, "a bat", "Ünknown ☃"]:
        assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
