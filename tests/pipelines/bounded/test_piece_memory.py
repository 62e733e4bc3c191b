"""A whole backfill of a file of bad lines takes no more memory than its pieces may, from listing to the reasons."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DEFINITION = """\
name: sales
source:
  schema:
    type: record
    name: Sale
    fields:
      - {name: id, type: string}
      - {name: at, type: {type: long, logicalType: timestamp-micros}}
      - {name: shop, type: string}
      - {name: amount, type: double}
  format: json
  event_id: id
  event_time: at
key: shop
tile: 1m
lateness: 1h
measures:
  sales: count
  revenue: {sum: amount}
"""
SETTING = 64 << 20
LINES = 300_000
"""Their rows, reasons and payloads together would take more than the setting, were they held at once."""
RUN = """
import resource, sys
from tandem.pipelines import backfill
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import TooManyBadError

def run(name):
    home, definition, setting = sys.argv[3:]
    words = ["--definition", definition, "--files", name, "--home", f"{home}-{name.rpartition('/')[2]}"]
    words += ["--workers", "1", "--max-piece-memory", setting]
    try:
        backfill.run(read_arguments("backfill", words))
    except TooManyBadError as error:
        print(error)

run(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run(sys.argv[2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def json_lines(count: int) -> bytes:
    return b"no event\n" * count


def json_lines_of_the_schema(count: int) -> bytes:
    """Good JSON, but its events have no id."""
    return b'{"id":"","at":1767571200000000,"shop":"mill","amount":1.0}\n' * count


def csv_rows(count: int) -> bytes:
    return b"id,at,shop,amount\n" + b"x,notime,mill,1.0\n" * count


def short_rows(count: int) -> bytes:
    return b"id,at,shop,amount\n" + b"x\n" * count


@pytest.mark.parametrize(
    ("name", "made"),
    [
        pytest.param("bad.jsonl.gz", json_lines, id="json"),
        pytest.param("bad.jsonl", json_lines_of_the_schema, id="json-without-ids"),
        pytest.param("bad.csv.gz", csv_rows, id="csv"),
        pytest.param("bad.csv", short_rows, id="short-rows"),
    ],
)
def test_a_backfill_of_bad_lines_stays_below_the_setting(
    tmp_path: Path, name: str, made: Callable[[int], bytes]
) -> None:
    (tmp_path / "sales.yaml").write_text(DEFINITION, encoding="utf-8")
    packed = gzip.compress if name.endswith(".gz") else bytes
    for folder, count in (("few", 100), ("many", LINES)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(packed(made(count)))
    paths = [str(tmp_path / folder / name) for folder in ("few", "many")]
    words = [sys.executable, "-c", RUN, *paths, str(tmp_path / "home"), str(tmp_path / "sales.yaml"), str(SETTING)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == 0, done.stderr
    few, many, grown = done.stdout.splitlines()
    assert "100 of 100 records are bad" in few
    assert f"{LINES:,} of {LINES:,} records are bad" in many
    assert int(grown) < SETTING
