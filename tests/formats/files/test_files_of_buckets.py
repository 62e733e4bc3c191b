"""Data files in buckets: named by globs, folders and URIs, and read as those of a folder are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers.object_servers import ObjectServer, server_of

from tandem.formats.files.listing import unread
from tandem.formats.files.reading import expand
from tandem.schemas.errors import PlaceError, SourceFileError
from tandem.storage.opening import objects_at
from tandem.storage.urls import location

STORES = ["s3", "gcs", pytest.param("s3-versity", marks=pytest.mark.slow)]
KINDS = ["avro", "avro-deflate", "parquet", "jsonl", "jsonl.gz", "csv", "csv-quoted"]


@pytest.fixture(params=STORES)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    return server_of(request.param, request, monkeypatch)


def put(place: str, *files: tuple[str, bytes]) -> str:
    """Write files below the place; the place."""
    where = location(place)
    for name, data in files:
        objects_at(where).put(f"{where.key}/{name}", data)
    return place


def test_every_format_is_read_as_from_a_folder(kit: Any, tmp_path: Path, server: ObjectServer) -> None:
    rows = kit.rows_of(200)
    files = kit.all_files(tmp_path, rows)
    for kind in KINDS:
        put(server.place(tmp_path.name), (files[kind].name, files[kind].read_bytes()))
        table, dead = kit.read(f"{server.place(tmp_path.name)}/{files[kind].name}", target=1500)
        assert (kind, dead, table.equals(kit.table_of(rows))) == (kind, [], True)


LINE = b'{"id": 1}\n'
NAMES = ["a.jsonl", "b/c.jsonl", "b/day=1/d.jsonl", "b/day=2/e.jsonl", "b/_tmp.jsonl", "b/day=2/.x.jsonl", "b/f.csv"]

PATTERNS = {
    "a file": (["a.jsonl"], ["a.jsonl"]),
    "a glob": (["b/day=*/?.jsonl"], ["b/day=1/d.jsonl", "b/day=2/e.jsonl"]),
    "a glob matches across folders": (["*c.jsonl"], ["b/c.jsonl"]),
    "a choice of signs": (["[ab]*/[ce].jsonl"], ["b/c.jsonl", "b/day=2/e.jsonl"]),
    "a folder": (["b/day=2"], ["b/day=2/e.jsonl"]),
    "a folder and those named by values": (["b"], ["b/c.jsonl", "b/day=1/d.jsonl", "b/day=2/e.jsonl", "b/f.csv"]),
    "each once": (["a.jsonl", "*.jsonl", "b"], sorted({*NAMES})),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_patterns(tmp_path: Path, server: ObjectServer, case: str) -> None:
    place, (patterns, found) = server.place(tmp_path.name), PATTERNS[case]
    put(place, *((name, LINE) for name in NAMES), ("empty/", b""))
    assert [ref.path for ref in expand([f"{place}/{pattern}" for pattern in patterns])] == [
        f"{place}/{name}" for name in found
    ]


def test_a_file_has_the_digest_that_it_has_in_a_folder(tmp_path: Path, server: ObjectServer) -> None:
    data = LINE * 300_000
    (tmp_path / "a.jsonl").write_bytes(data)
    (here,) = expand([str(tmp_path / "a.jsonl")])
    (there,) = expand([put(server.place(tmp_path.name), ("a.jsonl", data))])
    assert (there.digest, there.size, unread(there.path).size) == (here.digest, here.size, here.size)


@pytest.mark.parametrize("name", ["nothing.jsonl", "nothing*.jsonl", "nothing"])
def test_nothing_there(tmp_path: Path, server: ObjectServer, name: str) -> None:
    with pytest.raises(SourceFileError, match=r"nothing.*: no "):
        expand([f"{put(server.place(tmp_path.name), ('a.jsonl', LINE))}/{name}"])


def test_no_such_bucket(server: ObjectServer) -> None:
    with pytest.raises((SourceFileError, PlaceError), match="there is no such bucket"):
        expand([f"{server.scheme}://tandem-nobody/*.jsonl"])
