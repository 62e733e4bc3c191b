"""Damaged Parquet and Avro files, and what may become of them: an error of one line, or events."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tandem.formats.files.reading import expand, read_piece, split
from tandem.schemas.errors import SchemaError, SourceFileError

__all__ = ["flipped", "judged", "mutated", "shortened"]


def flipped(data: bytes, start: int, dice: random.Random, count: int) -> Iterator[bytes]:
    """The data with one bit changed, behind `start`."""
    bits = range(8 * start, 8 * len(data))
    for bit in dice.sample(bits, min(count, len(bits))):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def mutated(data: bytes, dice: random.Random, count: int) -> Iterator[bytes]:
    """The data with some stretches of bytes replaced, taken out or put in."""
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(changed))
            changed[at : at + dice.randrange(4)] = dice.randbytes(dice.randrange(4))
        yield bytes(changed)


def shortened(data: bytes, dice: random.Random, count: int) -> Iterator[bytes]:
    """The data cut short."""
    for _ in range(count):
        yield data[: dice.randrange(1, len(data))]


def judged(source: Any, columns: tuple[str, ...], path: Path, memory: int) -> int | str:
    """How many records there are, or what is said of the file. Nothing else may be raised."""
    try:
        (ref,) = expand([str(path)], memory)
        found = 0
        for piece in split(ref, 1 << 20):
            for decoded in read_piece(source, columns, piece, 0):
                decoded.events.validate(full=True)
                found += decoded.received
    except (SchemaError, SourceFileError) as error:
        said = str(error)
        assert "\n" not in said
        assert str(path) in said or path.name in said
        return said
    return found
