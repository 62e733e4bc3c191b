"""`--max-piece-memory`: how a size is written, and that it arrives at the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.formats.files.pieces import MAX_PIECE_MEMORY
from tandem.formats.files.reading import expand, split
from tandem.runners.options.values import piece_memory
from tandem.schemas.errors import UserError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 512_000_000),
        ("2GiB", 2 << 30),
        ("1.5 gb", 1_500_000_000),
        ("64mib", 64 << 20),
        ("20000000", 20_000_000),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert piece_memory(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1", "12 parsecs", "0", "1MB", "0x10", "1e9", "512 M B"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UserError, match="max-piece-memory"):
        piece_memory(text)


def test_pieces_carry_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    (usual,), (chosen,) = expand([str(path)]), expand([str(path)], 99_000_000)
    assert (usual.memory, chosen.memory) == (MAX_PIECE_MEMORY, 99_000_000)
    assert split(chosen, 1 << 20)[0].ref.memory == 99_000_000
