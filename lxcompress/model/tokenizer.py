"""The tokenizer of a model, and a new one for models without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import (
    AutoTokenizer,
    BertTokenizer,
    LxmertConfig,
    PreTrainedTokenizerBase,
)

from lxcompress.errors import ModelError
from lxcompress.model.folder import MODEL_CONFIG
from lxcompress.model.locate import locate, model_errors, quiet_transformers
from lxcompress.system.hub import download

# LXMERT reads BERT's uncased vocabulary; the second is the tokenizer that its own code loads.
BASE_TOKENIZERS = ("unc-nlp/lxmert-base-uncased", "google-bert/bert-base-uncased")
BASE_VOCABULARY = 30_522
# With the configuration, by which transformers knows the tokenizer's class.
TOKENIZER_FILES = (
    *(MODEL_CONFIG, "tokenizer*.json", "vocab.txt"),
    *("special_tokens_map.json", "added_tokens.json"),
)

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def build_tokenizer(texts: Iterable[str], max_words: int = 10_000) -> BertTokenizer:
    """Build BERT's uncased tokenizer with the most frequent words of `texts` as vocabulary.

    Every character is a token too, alone and as a "##" piece, so that a rare word is spelled out
    instead of becoming [UNK]. The vocabulary does not depend on the order of the texts.
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


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer saved with a model; raise ModelError if there is none."""
    source = locate(source)
    with quiet_transformers(), model_errors(source):
        tokenizer = AutoTokenizer.from_pretrained(source)
    # For a folder without tokenizer files, transformers returns one with an empty vocabulary.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(f"{source} has no tokenizer; give one with --tokenizer")
    if tokenizer.pad_token_id is None:
        raise ModelError(f"the tokenizer of {source} has no padding token; LXMERT's is BERT's")
    return tokenizer


def load_base_tokenizer() -> PreTrainedTokenizerBase | None:
    """Load LXMERT's own tokenizer from the Hub or its cache; None where it cannot be had."""
    for name in BASE_TOKENIZERS:
        with suppress(ModelError):
            return load_tokenizer(download(name, TOKENIZER_FILES))
    return None


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, config: LxmertConfig) -> None:
    """Raise ModelError when the tokenizer has tokens that the model has not."""
    if len(tokenizer) > config.vocab_size:
        raise ModelError(
            f"the tokenizer knows {len(tokenizer)} tokens, the model {config.vocab_size}; "
            "give the model's own with --tokenizer"
        )
