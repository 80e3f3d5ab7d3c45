"""The page's examples."""

from pathlib import Path

from app.answers.service import Service
from app.page.examples import make_examples


def test_examples_are_reproducible_and_answered(tmp_path: Path, service: Service) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, second = make_examples(tmp_path / "one"), make_examples(tmp_path / "two")
    assert len(first) == 4 and len({example.question for example in first}) == 4
    for one, other in zip(first, second, strict=True):
        assert one.question == other.question
        assert one.picture.read_bytes() == other.picture.read_bytes()
        reply = service.ask(one.picture, one.question)
        assert reply.objection is None and reply.main
