"""What a backfill shows while it reads: how much, how fast, and how long yet."""

from __future__ import annotations

import gzip
import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from tandem.formats.files.reading import expand, split
from tandem.pipelines.bounded.progress import board_in, progress_line, shown_progress
from tandem.pipelines.bounded.work_items import PIECE_BYTES, unpacked
from tandem.transforms.batch.work import FileWork, Work
from tandem.transforms.sources.progress_board import BoardReader, ReadSoFar, note_read

WRITING = "all 40,000 events are read in 4 s, their results are being written"


@pytest.mark.parametrize(
    ("so_far", "seconds", "line"),
    [
        pytest.param(ReadSoFar(), 1.0, "0% of 10.0 MB read, 0 events, 1 s", id="nothing yet"),
        pytest.param(
            ReadSoFar(20_000, 0, 0),
            2.0,
            "20% of 10.0 MB read, 20,000 events, 10,000/s, about 8 s left",
            id="no item yet",
        ),
        pytest.param(
            ReadSoFar(30_000, 1, 20_000), 3.0, "75% of 10.0 MB read, 30,000 events, 10,000/s, about 1 s left", id="one"
        ),
        pytest.param(
            ReadSoFar(900_000, 1, 1_000),
            100.0,
            "99% of 10.0 MB read, 900,000 events, 9,000/s, about 1 s left",
            id="more",
        ),
        pytest.param(
            ReadSoFar(40_000, 2, 40_000),
            4.0,
            "all 40,000 events are read in 4 s, their results are being written",
            id="all",
        ),
        pytest.param(
            ReadSoFar(0, 0, 0, dead=20_000, dead_bytes=1_000_000),
            2.0,
            "10% of 10.0 MB read, 0 events and 20,000 dead letters, 10,000/s, about 18 s left",
            id="dead letters alone",
        ),
        pytest.param(
            ReadSoFar(20_000, 1, 10_000, dead=40, dead_bytes=2_000_000, item_dead_bytes=1_000_000),
            2.0,
            "99% of 10.0 MB read, 20,000 events and 40 dead letters, 10,020/s, about 0 s left",
            id="large ones beside events",
        ),
        pytest.param(
            ReadSoFar(0, 2, 0, dead=7),
            4.0,
            "all 0 events and 7 dead letters are read in 4 s, their results are being written",
            id="all of them dead",
        ),
        pytest.param(None, 7.0, "7 s", id="elsewhere"),
    ],
)
def test_lines(so_far: ReadSoFar | None, seconds: float, line: str) -> None:
    assert progress_line(so_far, 10_000_000, 2, seconds) == line


def test_readers_are_added_up_and_half_a_line_is_passed_over(tmp_path: Path) -> None:
    board = board_in(str(tmp_path))
    assert board is not None
    for events in (10, 20):
        note_read(board, events)
    note_read(board, 0, whole=True)
    note_read(board, 5)
    Path(board, "another").write_text("7 2 90 0\n0 0 0 1\n3 1", encoding="ascii")
    assert BoardReader(board).read() == ReadSoFar(42, 2, 37, dead=2, dead_bytes=90, item_dead_bytes=90)
    note_read(str(tmp_path / "gone"), 1)


def test_packed_files_count_with_what_they_unpack_to(tmp_path: Path) -> None:
    for name, opened in (("a.jsonl", open), ("b.jsonl.gz", gzip.open)):
        with opened(tmp_path / name, "wt") as file:
            file.write("nothing\n" * 10_000)
    refs = expand([f"{tmp_path}/*"])
    pieces = [piece for ref in refs for piece in split(ref, PIECE_BYTES)]
    items = [Work(FileWork(piece, 0, -1, 0)) for piece in pieces]
    assert sum(ref.size for ref in refs) + unpacked(items) == 160_000


def test_a_line_is_there_after_a_second(tmp_path: Path) -> None:
    file, board = io.StringIO(), board_in(str(tmp_path))
    assert board is not None
    note_read(board, 1_000)
    with shown_progress(Console(file=file), "clicks: 1 files, 0 segments", 1_000_000, 1, board):
        end = time.monotonic() + 20
        while not file.getvalue() and time.monotonic() < end:
            time.sleep(0.05)
    assert file.getvalue().startswith("clicks: 1 files, 0 segments: 10% of 1.0 MB read, 1,000 events, ")
    assert board_in("gs://bucket/scratch") is None
