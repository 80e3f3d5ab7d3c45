"""The answers of an exported file to a split's questions."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from exporters.runtime.vqa_model import OnnxVqaModel
from lxcompress.data.batches import EncodedQuestions, model_arrays
from lxcompress.data.dataset import Dataset
from lxcompress.data.dataset_config import SplitName
from lxcompress.data.questions.question import QuestionId
from lxcompress.errors import ModelError
from lxcompress.evaluation.predict import predict_labels


def predict_split(
    path: Path, dataset: Dataset, split: SplitName, device: str, workers: int | None = None
) -> dict[QuestionId, str]:
    """Return the file's answer to every question of the split, by question id.

    An int8 file on the CPU quantizes activations over the whole batch, so that a few answers may
    differ from those to single questions.

    Raises:
        ModelError: the file is damaged, or takes other regions than the data's.
        DeviceError: the device cannot be used here.
    """
    model = OnnxVqaModel(path, device)
    regions = dataset.region_format(split)
    if regions.feature_size != model.feature_size:
        raise ModelError(
            f"{path} takes regions of {model.feature_size} features, those of {dataset.name} "
            f"({split}, detector {regions.detector}) have {regions.feature_size}: use regions of "
            "the model's own detector"
        )
    dataset.prepare_regions(split)
    padding = model.tokenizer.padding or {"pad_token": "[PAD]"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=model.tokenizer, pad_token=padding["pad_token"]
    )
    limit = int(model.metadata["max_tokens"])
    opened = dataset.split(split)
    data = EncodedQuestions(opened.questions, opened.regions, tokenizer, max_tokens=limit)
    return predict_labels(
        lambda batch: model.logits(model_arrays(batch)),
        model.labels,
        data,
        description=f"Answering, {path.name}",
        workers=workers,
    )
