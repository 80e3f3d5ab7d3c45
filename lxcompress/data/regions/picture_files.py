"""The picture files of a folder, by image id."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from lxcompress.data.questions.question import PICTURE_SUFFIXES, canonical_image_id, without_folders
from lxcompress.errors import DataError
from lxcompress.system.progress import progress
from lxcompress.system.text import is_utf8, printable_path
from lxcompress.vision.pictures import open_picture


def find_pictures(folders: Sequence[Path]) -> dict[str, Path]:
    """The picture files in `folders` (not in subfolders) by image id, in order of their names.

    Hidden files (macOS writes `._1.jpg` beside 1.jpg) are no pictures. Files whose names are not
    UTF-8 are left out, since no question can name them; `misnamed_pictures` lists them.

    Raises DataError when a folder is missing, there is no picture, or two have the same id.
    """
    pictures: dict[str, Path] = {}
    for path in _picture_files(folders):
        if not is_utf8(path.name):
            continue
        image = canonical_image_id(path.name)
        if image in pictures:
            raise DataError(
                f"two pictures have the id {image!r}: {pictures[image]}, {path}: rename or remove "
                "one"
            )
        pictures[image] = path
    if not pictures:
        kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
        where = ", ".join(map(str, folders))
        raise DataError(f"no pictures ({kinds}) in {where}{_misnamed_note(folders)}")
    return pictures


def misnamed_pictures(folders: Sequence[Path]) -> list[Path]:
    """The picture files in `folders` whose names are not UTF-8, as old archives leave behind."""
    return [path for path in _picture_files(folders) if not is_utf8(path.name)]


def select_pictures(folders: Sequence[Path], wanted: Collection[str]) -> dict[str, Path]:
    """As `find_pictures`, but only those with the ids `wanted`; DataError when one is missing."""
    pictures = find_pictures(folders)
    absent = [image for image in wanted if image not in pictures]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(wanted)} pictures, e.g. {absent[0]!r}, are not in "
            f"{', '.join(map(str, folders))}{absence_note(absent[0], folders)}"
        )
    wanted = set(wanted)
    return {image: path for image, path in pictures.items() if image in wanted}


def broken_pictures(pictures: Mapping[str, Path], description: str) -> Iterator[tuple[str, str]]:
    """Decode every picture, with progress; yield (image id, what is wrong) for those that fail."""
    with progress(description, len(pictures), "pictures") as meter:
        for image, path in pictures.items():
            try:
                open_picture(path)
            except DataError as problem:
                yield image, str(problem)
            meter.advance()


def absence_note(image: str, folders: Sequence[Path]) -> str:
    """Why a picture may not be found in `folders`, in brackets; "" where nothing explains it."""
    if without_folders(image) != image:
        return " (an id is the name of a file, without folders: take the path off the ids)"
    return _misnamed_note(folders)


def _misnamed_note(folders: Sequence[Path]) -> str:
    misnamed = misnamed_pictures(folders)
    if not misnamed:
        return ""
    return (
        f" (the names of {len(misnamed)} files there are not UTF-8, e.g. "
        f"{printable_path(misnamed[0].name)}: rename them)"
    )


def _picture_files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"folder of pictures not found: {folder}")
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith("."):
                yield path
