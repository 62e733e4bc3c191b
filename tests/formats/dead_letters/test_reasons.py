"""Why many records are dead, and of very many the first of them: looking at all would take minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.formats.dead_letters import reasons as module
from tandem.formats.dead_letters.files import encode, letters_name
from tandem.formats.dead_letters.reasons import reasons
from tandem.schemas.messages import DeadLetter


@pytest.fixture
def letters(tmp_path: Path) -> dict[str, frozenset[int]]:
    """Six of two kinds, in two positions."""
    found = {}
    for number in range(2):
        some = [DeadLetter(b"x", f"bad value {row}" if row else "not JSON", "decode", row) for row in range(3)]
        path = tmp_path / "v" / f"{letters_name('f', number)}.avro"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(some, f"f/{number}", written_at=1, version="v"))
        found[f"f/{number}"] = frozenset(range(3))
    return found


def test_the_most_frequent_come_first(letters: dict[str, frozenset[int]], tmp_path: Path) -> None:
    assert list(map(str, reasons("v", str(tmp_path), letters))) == [
        "4 times: bad value 1 (first at f/0 row 1)",
        "2 times: not JSON (first at f/0 row 0)",
    ]


def test_of_very_many_the_first_are_looked_at(
    letters: dict[str, frozenset[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    assert list(map(str, reasons("v", str(tmp_path), letters))) == [
        "1 time among the first 2: not JSON (first at f/0 row 0)",
        "1 time among the first 2: bad value 1 (first at f/0 row 1)",
    ]
