"""Converts TSV files of region features into region shards.

`tsv_rows` has their formats. A file of 80,000 pictures is 30 GB, so it is read row by row.
"""

from __future__ import annotations

from pathlib import Path

from lxcompress.data.regions.index import is_finished
from lxcompress.data.regions.store import RegionStore
from lxcompress.data.regions.tsv_rows import Row, RowParser
from lxcompress.data.regions.tsv_source import TsvSource, open_tsv
from lxcompress.data.regions.writer import RegionWriter
from lxcompress.errors import DataError, Interrupted
from lxcompress.system.progress import progress


def convert_tsv(
    tsv: Path, output: Path, max_regions: int = 36, shard_rows: int | None = None
) -> RegionStore:
    """Convert a TSV file of features into a folder of regions, holding one shard in memory.

    Boxes are divided by the picture's width and height; features become float16. A row that
    occurs twice is kept once. An interrupted conversion continues after the rows that were saved;
    a complete one is not repeated. A stream has to be given again from its start, and the rows
    that were saved are compared.

    Args:
        tsv: the file, e.g. `train2014_obj36.tsv`, also packed by gzip or zip; `-` is standard
            input.
        output: folder of regions to write; its detector is called "butd".
        max_regions: regions per picture at most; 36 in LXMERT's own files.
        shard_rows: pictures per shard, by default as many as fit 256 MiB.

    Raises:
        DataError: a row is wrong (the message has the line and the reason), two rows of one
            picture differ, or `output` has the regions of another file.
        Interrupted: stopped by Ctrl-C; what was converted is kept.
    """
    output = Path(output)
    with open_tsv(Path(tsv)) as source:
        if is_finished(output):
            store = RegionStore(output)
            if source.is_stream:
                raise DataError(f"{output} has regions already: choose another output folder")
            if store.source == source.identity:
                return store
        lines = _Lines(source)
        first = lines.next_row()
        if first is None:
            raise DataError(f"{source.name} is empty: it has no row of features")
        writer = RegionWriter(
            output, "butd", first.features.shape[1], max_regions, shard_rows, source.identity
        )
        try:
            with writer:
                _convert(lines, first, writer)
                writer.finish()
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped; {len(writer)} pictures are kept in {output}, the same command continues"
            ) from None
    return RegionStore(output)


class _Lines:
    """The rows of a source, with the place of the last one for messages."""

    def __init__(self, source: TsvSource) -> None:
        self.source = source
        self._parser = RowParser()
        self._number: int | None = 0  # None after a jump
        self._start = 0

    def next_row(self) -> Row | None:
        """The next row; None at the end. Raises DataError with the line."""
        while True:
            self._start = self.source.position
            if self._number is not None:
                self._number += 1
            try:
                if not (line := self.source.read_line()):
                    return None
                row = self._parser.parse(line)
            except DataError as problem:
                raise self.error(problem) from None
            if row is not None:
                return row

    def jump(self, position: int) -> None:
        self.source.seek(position)
        self._number = None

    def error(self, problem: DataError) -> DataError:
        """The problem, with the place of the last line."""
        place = f"byte {self._start}" if self._number is None else f"line {self._number}"
        return DataError(f"{self.source.name}, {place}: {problem}")


def _convert(lines: _Lines, first: Row, writer: RegionWriter) -> None:
    source, row = lines.source, first
    if not source.is_stream and writer.position:
        lines.jump(writer.position)
        if (following := lines.next_row()) is None:
            return
        row = following
    with progress(
        f"Converting {source.name}", source.megabytes, "MB", source.megabytes_read
    ) as meter:
        while True:
            try:
                _append(row, writer, 0 if source.is_stream else source.position)
            except DataError as problem:
                raise lines.error(problem) from None
            meter.advance(source.megabytes_read - meter.done)
            if (following := lines.next_row()) is None:
                return
            row = following


def _append(row: Row, writer: RegionWriter, position: int) -> None:
    count = len(row.features)
    if count > writer.max_regions:
        raise DataError(
            f"picture {row.image_id!r}: {count} regions, at most {writer.max_regions} fit: give "
            "--max-regions (features of 10 to 100 regions need 100)"
        )
    if row.image_id not in writer:
        writer.append(row.image_id, row.features, row.boxes, row.size, position)
    elif not writer.has_equal(row.image_id, row.features, row.boxes, row.size):
        raise DataError(
            f"picture {row.image_id!r} appears twice, with different regions: remove one row"
        )
