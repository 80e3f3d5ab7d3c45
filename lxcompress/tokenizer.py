"""A tokenizer for models that start without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertTokenizer

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def build_tokenizer(texts: Iterable[str], max_words: int = 10_000) -> BertTokenizer:
    """BERT's uncased tokenizer with the commonest words of `texts` as its vocabulary.

    Every character is in it too, alone and as "##" piece, so that a rarer word is spelt out
    rather than lost. The same texts give the same vocabulary, whatever their order.
    """
    normalizer, splitter = BertNormalizer(lowercase=True), BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        words = splitter.pre_tokenize_str(normalizer.normalize_str(text))
        counts.update(word for word, _ in words)
    characters = sorted({character for word in counts for character in word})
    common = sorted(counts, key=lambda word: (-counts[word], word))[:max_words]
    pieces = [*_SPECIAL, *characters, *("##" + character for character in characters), *common]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizer(vocab=vocabulary)
