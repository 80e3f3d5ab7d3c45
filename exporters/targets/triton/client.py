"""Ask a Triton server that serves the model in this file's folder questions about a picture.

    pip install 'tritonclient[grpc]' tokenizers
    python client.py PICTURE "what color is it?" [--server localhost:8001]

PICTURE is a picture file if lxcompress is installed too and has the model's detector. Otherwise, it
is an .npz file of "features", float32 [n, F], and "boxes", float32 [n, 4]: left, top, right, bottom
as fractions of the picture's size.
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
    """A ticket on a Triton server; `folder` is its model folder, whose name is the model's."""

    def __init__(self, server: str, folder: Path = HERE) -> None:
        self.name = folder.name
        self.client = triton.InferenceServerClient(server)
        parameters = self.client.get_model_config(self.name).config.parameters
        self.parameters = {key: parameters[key].string_value for key in parameters}
        self.max_regions = int(self.parameters["lxcompress.regions"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def encode(
        self, questions: Sequence[str], pictures: Sequence[Picture]
    ) -> dict[str, np.ndarray]:
        """The six inputs, padded to fixed shapes so that Triton can batch them with others."""
        encodings = self.tokenizer.encode_batch(list(questions))
        input_ids = np.array([encoding.ids for encoding in encodings], np.int64)
        attention_mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        shape = (len(pictures), self.max_regions)
        features = np.zeros((*shape, pictures[0][0].shape[1]), np.float32)
        boxes, regions_mask = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.int64)
        for row, (picture_features, picture_boxes) in enumerate(pictures):
            count = len(picture_features)
            if not 1 <= count <= self.max_regions:
                raise ValueError(
                    f"a picture has {count} regions; 1 to {self.max_regions} can be sent"
                )
            features[row, :count], boxes[row, :count] = picture_features, picture_boxes
            regions_mask[row, :count] = 1
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": np.zeros_like(input_ids),
            "visual_feats": features,
            "visual_pos": boxes,
            "visual_attention_mask": regions_mask,
        }

    def answer(
        self, questions: Sequence[str], pictures: Sequence[Picture], top: int = 1
    ) -> list[list[tuple[str, float]]]:
        """For each question about its picture, the `top` most probable answers and their logits."""
        inputs = []
        for name, array in self.encode(questions, pictures).items():
            datatype = "INT64" if array.dtype == np.int64 else "FP32"
            inputs.append(triton.InferInput(name, array.shape, datatype))
            inputs[-1].set_data_from_numpy(array)
        output = triton.InferRequestedOutput("logits", class_count=top)
        rows = self.client.infer(self.name, inputs, outputs=[output]).as_numpy("logits")
        return [[_parse_answer(cell.decode()) for cell in row] for row in rows]


def _parse_answer(text: str) -> tuple[str, float]:
    """Parse Triton's "logit:index:label", which lacks ":label" if the label is empty."""
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
    parser.add_argument("--server", default="localhost:8001", help="gRPC address of the server")
    parser.add_argument("--top", type=int, default=1, help="number of answers to each question")
    options = parser.parse_args()
    model = TritonVqaModel(options.server)
    picture = read_regions(options.picture, model.parameters["lxcompress.detector"])
    pictures = [picture] * len(options.question)
    answers = model.answer(options.question, pictures, options.top)
    for question, top in zip(options.question, answers, strict=True):
        print(question, *(f"{answer} ({logit:.2f})" for answer, logit in top), sep="\n  ")


if __name__ == "__main__":
    main()
