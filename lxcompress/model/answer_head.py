"""The answer head: a new one, one carried over from pre-training, and the answer list."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers import (
    LxmertConfig,
    LxmertForQuestionAnswering,
)
from transformers.models.lxmert.modeling_lxmert import (
    LxmertVisualAnswerHead,
)

from lxcompress.errors import ModelError

_HEAD_STD = 0.02  # of LXMERT, whatever the width


def fresh_answer_head(model: LxmertForQuestionAnswering, answers: Sequence[str]) -> None:
    """Replace the answer head by a new one for `answers`, in place.

    Weights are drawn from N(0, 0.02) with torch's global generator; biases are zero, as in
    LXMERT. The answers become the configuration's `id2label`.
    """
    config = model.config
    set_labels(config, answers)
    head = LxmertVisualAnswerHead(config, len(answers))
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=_HEAD_STD)
            nn.init.zeros_(module.bias)
    model.answer_head = head
    model.num_qa_labels = len(answers)


def carry_answer_head(
    model: LxmertForQuestionAnswering, head: LxmertVisualAnswerHead, labels: Sequence[str]
) -> int:
    """Copy a pre-trained `head` into the model's answer head, as LXMERT's `load_lxmert_qa`.

    Answers in both lists get their pre-trained row; the rows of the others start at zero, so that
    their first logits are neutral. Returns the number of shared answers.
    """
    rows = {label: row for row, label in enumerate(labels)}
    old, new = head.logit_fc, model.answer_head.logit_fc
    new[0].load_state_dict(old[0].state_dict())
    new[2].load_state_dict(old[2].state_dict())
    shared = 0
    with torch.no_grad():
        new[3].weight.zero_()
        new[3].bias.zero_()
        for index, answer in sorted(model.config.id2label.items()):
            if answer in rows:
                new[3].weight[index] = old[3].weight[rows[answer]]
                new[3].bias[index] = old[3].bias[rows[answer]]
                shared += 1
    return shared


def set_labels(config: LxmertConfig, answers: Sequence[str]) -> None:
    """Record the answer list in the configuration, in place."""
    config.num_qa_labels = len(answers)
    config.id2label = dict(enumerate(answers))
    config.label2id = {answer: index for index, answer in enumerate(answers)}


def has_labels(config: LxmertConfig) -> bool:
    """Return whether a configuration names an answer for each output of the head."""
    # Where config.json has no id2label, transformers invents "LABEL_0" and "LABEL_1".
    invented = all(label == f"LABEL_{index}" for index, label in config.id2label.items())
    return len(config.id2label) == config.num_qa_labels and not invented


def labels_of(config: LxmertConfig, option: str = "--answers") -> list[str]:
    """Return a model's answer list; raise ModelError when its configuration has none.

    `option` is the one that gives an answer list to the command.
    """
    if not has_labels(config):
        given = len(config.id2label)
        has = "no answers"
        if given != 2 or config.id2label.get(0) != "LABEL_0":
            has = f"{given} answers in id2label"
        raise ModelError(
            f"the model's config.json names {has}, but its head has {config.num_qa_labels}; "
            f"give the answer list that it was trained with ({option})"
        )
    return [config.id2label[index] for index in sorted(config.id2label)]
