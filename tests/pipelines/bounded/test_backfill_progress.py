"""What a backfill shows while it reads: how much, how fast, and how long yet."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from tandem.pipelines.bounded.progress import board_in, progress_line, shown_progress
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
    Path(board, "another").write_text("7 0\n0 1\n3", encoding="ascii")
    assert BoardReader(board).read() == ReadSoFar(events=42, items=2, item_events=37)
    note_read(str(tmp_path / "gone"), 1)


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
