"""Files that unfold to far more than they are: the memory that reading takes stays below the setting."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

LIMIT = 512 * 1024 * 1024
READER = """
import resource, sys
from tandem.formats.files.reading import expand, read_piece, split
from tests.formats.conftest import Spec

def read(path, memory):
    (ref,) = expand([path], memory)
    spec = Spec()
    parts = (part for piece in split(ref, 1 << 24, spec) for part in read_piece(spec, ("user",), piece, 0))
    return [sum(each) for each in zip((0, 0), *((part.events.num_rows, len(part.dead)) for part in parts))]

first, bomb, memory = sys.argv[1], sys.argv[2], int(sys.argv[3])
read(first, memory)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(*read(bomb, memory))
except Exception as error:
    print(type(error).__name__, error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
ENDLESS = "SourceFileError .* has more than 67,108,864 bytes"
HEADER = b"id,user,page,price,count,time\n"


def packed(path: Path, parts: Iterator[bytes]) -> Path:
    """Gzipped, or packed with bzip2 by the ending; the same part costs no time to pack twice."""
    opened: Any = bz2.open if path.suffix == ".bz2" else gzip.open
    with opened(path, "wb", compresslevel=1) as file:
        for part in parts:
            file.write(part)
    return path


def times(part: bytes, size: int, first: bytes = b"", last: bytes = b"") -> Iterator[bytes]:
    stretch = part * max((1 << 20) // len(part), 1)
    yield first
    for _ in range(size // len(stretch)):
        yield stretch
    yield last


BOMBS: dict[str, tuple[str, Callable[[], Iterator[bytes]], str]] = {
    "empty-lines": ("e.jsonl.gz", lambda: times(b"\n", 22 << 20), "^0 0$"),
    "empty-lines-of-windows": ("e.jsonl.gz", lambda: times(b"\r\n", 22 << 20), "^0 0$"),
    "blank-lines": ("e.jsonl.gz", lambda: times(b" \n", 2 << 20), "^0 0$"),
    "bad-lines": ("e.jsonl.gz", lambda: times(b"{\n", 1 << 20), f"0 {1 << 19}"),
    "empty-rows": ("e.csv.gz", lambda: times(b"\n", 22 << 20, HEADER), "^0 0$"),
    "bad-rows": ("e.csv.gz", lambda: times(b"x\n", 1 << 20, HEADER), f"0 {1 << 19}"),
    "open-quotes": ("e.csv.gz", lambda: times(b'"a\n', 2 << 20, HEADER), "0 "),
    "one-open-quote": ("e.csv.gz", lambda: times(b"1,a,pay,1.5,3,5\n", 62 << 20, HEADER + b'"'), ""),
    "quotes": ("e.csv.gz", lambda: times(b'"' * (9 << 20) + b"\n", 55 << 20, HEADER), "^0 6$"),
    "values-in-one-line": ("e.csv.gz", lambda: times(b"ab,", 60 << 20, HEADER, b"\n"), "^0 1$"),
    "quoted-values-in-one-line": ("e.csv.gz", lambda: times(b'"ab",', 60 << 20, HEADER, b"\n"), "^0 1$"),
    "values-behind-a-line-end": ("e.csv.gz", lambda: times(b"ab,", 60 << 20, HEADER + b'"a\n",', b"\n"), "^0 2$"),
    "members-without-names": (
        "e.jsonl.gz",
        lambda: times(b"{" + b'"":0,' * 2_000_000 + b'"":0}\n', 56 << 20),
        "^0 5$",
    ),
    "items": ("e.json.gz", lambda: times(b"0,", 1 << 20, b"[", b"0]"), f"0 {(1 << 19) + 1}"),
    "an-endless-line": (
        "e.jsonl.gz",
        lambda: times(bytes(1 << 20), 80 << 20),
        ENDLESS,
    ),
    "an-endless-row": (
        "e.csv.gz",
        lambda: times(b"a" * (1 << 20), 80 << 20, HEADER),
        ENDLESS,
    ),
    "an-endless-object": (
        "e.json.gz",
        lambda: times(b"a" * (1 << 20), 80 << 20, b'{"'),
        ENDLESS,
    ),
    "an-endless-nesting": ("e.json.gz", lambda: times(b"[" * (1 << 20), 80 << 20), "nested more than 100,000 levels"),
    "an-endless-line-of-bzip2": (
        "e.jsonl.bz2",
        lambda: times(b"a" * (1 << 20), 100 << 20),
        ENDLESS,
    ),
}


QUICK = (
    "empty-lines",
    "bad-lines",
    "bad-rows",
    "quotes",
    "values-in-one-line",
    "an-endless-line",
    "an-endless-row",
    "an-endless-nesting",
)
"""Each of its own kind; the others are as long, and for the long form."""


@pytest.mark.parametrize("bomb", [pytest.param(b, marks=() if b in QUICK else pytest.mark.slow) for b in BOMBS])
def test_reading_takes_no_more_than_it_may(kit: Any, tmp_path: Path, bomb: str) -> None:
    name, parts, wanted = BOMBS[bomb]
    first = kit.write_lines(tmp_path / "first.jsonl", kit.rows_of(9))
    path = packed(tmp_path / name, parts())
    found = [sys.executable, "-c", READER, str(first), str(path), str(LIMIT)]
    said = subprocess.run(found, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    result, grown = said.stdout.splitlines()
    assert re.search(wanted, result), result
    if "SourceFileError" in result:
        assert f"{path}: " in result
    assert int(grown) < LIMIT


def test_less_memory_reads_the_same_and_refuses_sooner(kit: Any, tmp_path: Path) -> None:
    from tandem.formats.files.reading import expand, read_piece, split

    rows = kit.rows_of(20_000)
    path = kit.write_lines(tmp_path / "e.jsonl", rows)
    (ref,) = expand([str(path)], 16_000_000)
    parts = [part for piece in split(ref, 1 << 30) for part in read_piece(kit.spec(), ("user",), piece, kit.now)]
    assert len(parts) > 4
    assert sum(part.events.num_rows for part in parts) == len(rows)
    path.write_text(json.dumps({"user": "x" * 3_000_000}))
    (ref,) = expand([str(path)], 16_000_000)
    with pytest.raises(Exception, match=r"the one at byte 0 has more than 2,000,000 bytes; --max-piece-memory allows"):
        list(read_piece(kit.spec(), ("user",), split(ref, 1 << 30)[0], kit.now))
