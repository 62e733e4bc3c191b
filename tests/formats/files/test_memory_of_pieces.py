"""Binary files of which every record is bad, or that unfold: reading them stays below the setting."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MEMORY = 128 << 20
READER = """
import resource, sys
from tandem.formats.files.reading import expand, read_piece, split
from tests.formats.conftest import Spec

def read(path, memory):
    (ref,) = expand([path], memory)
    spec = Spec()
    parts = (part for piece in split(ref, 1 << 24, spec) for part in read_piece(spec, ("id", "user"), piece, 0))
    counts = [(part.events.num_rows, len(part.dead), 1) for part in parts]
    return [sum(each) for each in zip(*counts)]

few, many, memory = sys.argv[1], sys.argv[2], int(sys.argv[3])
read(few, memory)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(*read(many, memory))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
BAD_TIME = 2**62


def avro(path: Path, schema: Any, row: dict[str, Any], count: int) -> None:
    """All in one block."""
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), (row for _ in range(count)), sync_interval=1 << 40)


def parquet(path: Path, schema: Any, row: dict[str, Any], count: int) -> None:
    """Each value once, in the dictionary."""
    columns = {name: pa.array([value] * count) for name, value in row.items()}
    columns["time"] = pa.array([row["time"]] * count, pa.int64())
    pq.write_table(pa.table(columns), path, compression="none")


@pytest.mark.parametrize("write", [avro, parquet])
@pytest.mark.parametrize(
    ("size", "count", "time"),
    [
        pytest.param(20, 200_000, BAD_TIME, id="small-ones"),
        pytest.param(1_000, 50_000, BAD_TIME, id="large-ones"),
        pytest.param(1_000, 50_000, 5, id="good-ones"),
    ],
)
def test_records_of_one_piece(
    kit: Any, tmp_path: Path, write: Callable[..., None], size: int, count: int, time: int
) -> None:
    row = {**kit.row(user="x" * size), "time": time}
    paths = [tmp_path / f"{name}.{write.__name__}" for name in ("few", "many")]
    for path, many in zip(paths, (10, count), strict=True):
        write(path, kit.event, row, many)
    words = [sys.executable, "-c", READER, *map(str, paths), str(MEMORY)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == 0, done.stderr
    counts, grown = done.stdout.splitlines()
    events, dead, parts = map(int, counts.split())
    assert (events, dead) == ((0, count) if time == BAD_TIME else (count, 0)), json.dumps(row)[:100]
    assert int(grown) < MEMORY
    assert parts > 1 or time != BAD_TIME
