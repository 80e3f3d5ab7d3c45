"""Asks questions about a picture, of a Triton server that serves the model beside this file.

    pip install 'tritonclient[grpc]' tokenizers
    python client.py PICTURE "what color is it?" [--server localhost:8001]

PICTURE is a picture, if lxcompress is installed too and has the model's detector. Anywhere, it is
an .npz file of "features", float32 [n, F], and "boxes", float32 [n, 4]: left, top, right, bottom as
fractions of the picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent

Picture = tuple[np.ndarray, np.ndarray]
"""float32 features `[n, F]` and boxes `[n, 4]` of 1 to `lxcompress.regions` regions."""


class TritonVqaModel:
    """A ticket on a Triton server; `name` is its folder's, which also holds its tokenizer."""

    def __init__(self, server: str, folder: Path = HERE) -> None:
        self.name = folder.name
        self.client = triton.InferenceServerClient(server)
        found = self.client.get_model_config(self.name).config.parameters
        self.parameters = {key: found[key].string_value for key in found}
        self.regions = int(self.parameters["lxcompress.regions"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def arrays(
        self, questions: Sequence[str], pictures: Sequence[Picture]
    ) -> dict[str, np.ndarray]:
        """The six inputs, padded to one size so that Triton can join them with those of others."""
        words = self.tokenizer.encode_batch(list(questions))
        ids = np.array([question.ids for question in words], np.int64)
        seen = np.array([question.attention_mask for question in words], np.int64)
        shape = (len(pictures), self.regions)
        features = np.zeros((*shape, pictures[0][0].shape[1]), np.float32)
        boxes, found = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.int64)
        for row, (of_picture, where) in enumerate(pictures):
            count = len(of_picture)
            if not 1 <= count <= self.regions:
                raise ValueError(f"a picture has {count} regions; 1 to {self.regions} can be sent")
            features[row, :count], boxes[row, :count], found[row, :count] = of_picture, where, 1
        return {
            "input_ids": ids,
            "attention_mask": seen,
            "token_type_ids": np.zeros_like(ids),
            "visual_feats": features,
            "visual_pos": boxes,
            "visual_attention_mask": found,
        }

    def answer(
        self, questions: Sequence[str], pictures: Sequence[Picture], top: int = 1
    ) -> list[list[tuple[str, float]]]:
        """For each question about its picture the `top` likeliest answers, with their logits."""
        inputs = []
        for name, array in self.arrays(questions, pictures).items():
            kind = "INT64" if array.dtype == np.int64 else "FP32"
            inputs.append(triton.InferInput(name, array.shape, kind))
            inputs[-1].set_data_from_numpy(array)
        wanted = triton.InferRequestedOutput("logits", class_count=top)
        rows = self.client.infer(self.name, inputs, outputs=[wanted]).as_numpy("logits")
        return [[_answer(cell.decode()) for cell in row] for row in rows]


def _answer(text: str) -> tuple[str, float]:
    """Triton's "logit:index:label"; it leaves out a label that is empty."""
    logit, _, rest = text.partition(":")
    return rest.partition(":")[2], float(logit)


def read_regions(path: Path, detector: str) -> Picture:
    """The regions in an .npz file, or those that lxcompress's detector finds in a picture."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return file["features"], file["boxes"]
    from lxcompress.vision.detectors import get_detector
    from lxcompress.vision.pictures import open_picture

    (regions,) = get_detector(detector).detect([open_picture(path)])
    return regions.features, regions.boxes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("question", nargs="+")
    parser.add_argument("--server", default="localhost:8001", help="its gRPC address")
    parser.add_argument("--top", type=int, default=1, help="so many answers to each")
    given = parser.parse_args()
    model = TritonVqaModel(given.server)
    picture = read_regions(given.picture, model.parameters["lxcompress.detector"])
    pictures = [picture] * len(given.question)
    for question, found in zip(
        given.question, model.answer(given.question, pictures, given.top), strict=True
    ):
        print(question, *(f"{answer} ({logit:.2f})" for answer, logit in found), sep="\n  ")


if __name__ == "__main__":
    main()
