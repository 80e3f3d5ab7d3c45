from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from verified import Original


@pytest.fixture(scope="module")
def ticket(tiny_exported: Path) -> Original:
    """The ticket of the tiny run; do not change it."""
    from verified import Original

    from exporters.graph.metadata import AnswerMetadata
    from exporters.source import Source, open_questions
    from exporters.verify.answers import reference_logits
    from lxcompress.model.answer_head import labels_of
    from lxcompress.model.tokenizer import load_tokenizer
    from lxcompress.ticket import load_ticket

    folder = tiny_exported / "ticket"
    (model, mask), tokenizer = load_ticket(folder), load_tokenizer(folder)
    questions = open_questions(Source.of(tiny_exported, None, None), model.config, tokenizer)
    reference = reference_logits(model, questions, "cpu")
    answers = AnswerMetadata.of(labels_of(model.config), tokenizer, max_tokens=20)
    return Original(model, mask, questions, reference, answers)
