"""One contract for memory, folders and object stores: what is created stays, whatever the network and others do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from servers.object_servers import SECRET, ObjectServer, server_of

from tandem.journal.storage.blobs import BlobExistsError, BlobMissingError, BlobStore, LocalBlobs, create_or_find
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.journal.storage.object_blobs import ObjectBlobs
from tandem.journal.storage.opening import journal_exists, open_blobs, prepared_journal
from tandem.schemas.errors import JournalError, PlaceError
from tandem.storage.gcs import GcsObjects
from tandem.storage.objects import Objects, UnavailableError
from tandem.storage.retrying import RetriedObjects, RetryLimits
from tandem.storage.s3 import S3Objects
from tandem.storage.urls import location

RACERS = 50
STORES = ["s3", "gcs", pytest.param("s3-versity", marks=pytest.mark.slow)]


def _place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "journal")
    return server_of(request.param, request, monkeypatch).place(f"{tmp_path.name}/journal")


@pytest.fixture(params=["folder", *STORES])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return _place(request, tmp_path, monkeypatch)


@pytest.fixture(params=["memory", "folder", *STORES])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    if request.param == "memory":
        return MemoryBlobs()
    return open_blobs(_place(request, tmp_path, monkeypatch))


def test_create_read_list(blobs: BlobStore) -> None:
    blobs.create("a/b/2.avro", b"two")
    blobs.create("a/b/1.avro", b"one")
    blobs.create("a/b/c/3.avro", b"three")
    blobs.create("a/bc/4.avro", b"four")
    assert blobs.list("a/b") == ["1.avro", "2.avro"]
    assert blobs.folders("a") == ["b", "bc"]
    assert blobs.folders("") == ["a"]
    assert (blobs.list("nowhere"), blobs.folders("nowhere")) == ([], [])
    assert blobs.read("a/b/2.avro") == b"two"
    assert (blobs.size("a/b/c/3.avro"), blobs.exists("a/b/1.avro"), blobs.exists("a/b")) == (5, True, False)


@pytest.mark.parametrize(
    ("data", "limit", "head"),
    [(b"abcdef", 2, b"ab"), (b"abcdef", 6, b"abcdef"), (b"ab", 16_384, b"ab"), (b"", 16, b""), (b"ab", 0, b"")],
)
def test_head_reads_no_more_than_asked(blobs: BlobStore, data: bytes, limit: int, head: bytes) -> None:
    blobs.create("x", data)
    assert (blobs.head("x", limit), blobs.read("x"), blobs.size("x")) == (head, data, len(data))


def test_a_name_may_have_any_sign(blobs: BlobStore) -> None:
    name = "v1/%2Fhome%2Fa b%2Fé#1?+&=.avro"
    blobs.create(name, b"letter")
    assert (blobs.read(name), blobs.list("v1"), blobs.exists(name)) == (b"letter", [name.partition("/")[2]], True)


def test_long_listings_are_whole(blobs: BlobStore) -> None:
    store: Callable[[str, bytes], None] = blobs.replace
    names = [f"{number:04d}" for number in range(1_050 if isinstance(blobs, LocalBlobs) else 40)]
    for name in names:
        store(f"many/{name}", b"")
    assert blobs.list("many") == names


def test_create_never_overwrites(blobs: BlobStore) -> None:
    blobs.create("x", b"first")
    for data in (b"second", b"first"):
        with pytest.raises(BlobExistsError, match="x: exists already"):
            blobs.create("x", data)
    assert create_or_find(blobs, "x", b"second") == b"first"
    assert blobs.read("x") == b"first"


@pytest.mark.parametrize("call", ["read", "head", "size"])
def test_missing(blobs: BlobStore, call: str) -> None:
    arguments = ("a/x", 5) if call == "head" else ("a/x",)
    with pytest.raises(BlobMissingError, match="a/x: no such blob"):
        getattr(blobs, call)(*arguments)


def test_replace_and_remove(blobs: BlobStore) -> None:
    blobs.replace("h/run", b"1")
    blobs.replace("h/run", b"2")
    assert blobs.read("h/run") == b"2"
    blobs.remove("h/run")
    blobs.remove("h/run")
    assert not blobs.exists("h/run")


def test_one_of_fifty_creators_wins(blobs: BlobStore) -> None:
    won: list[int] = []
    begin = threading.Barrier(RACERS)

    def create(number: int) -> None:
        begin.wait()
        if create_or_find(blobs, "same", str(number).encode()) is None:
            won.append(number)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [blobs.read("same")] == [str(number).encode() for number in won]


@pytest.mark.parametrize("path", ["/etc/passwd", "a/../../b"])
def test_paths_stay_inside(blobs: BlobStore, path: str) -> None:
    with pytest.raises(JournalError, match="stays inside"):
        blobs.create(path, b"")


def test_a_journal_is_there_once_a_run_is(place: str) -> None:
    prepared_journal(place).create("runs/000001.json", b"{}")
    assert journal_exists(place)


class Kind(Protocol):
    def __call__(self, bucket: str, timeout: float) -> Objects: ...


@pytest.fixture(params=STORES)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    return server_of(request.param, request, monkeypatch)


def patient(server: ObjectServer, place: str, time_limit: RetryLimits) -> ObjectBlobs:
    where = location(place)
    kind: Kind = GcsObjects if server.scheme == "gs" else S3Objects
    return ObjectBlobs(RetriedObjects(kind(where.bucket, time_limit.request), time_limit), where)


QUICK = RetryLimits(request=10.0, total=30.0, first_pause=0.01, longest_pause=0.05)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(["503"], id="refuses for a while"),
        pytest.param(["503"] * 4, id="refuses for long"),
        pytest.param(["lost", "503", "lost"], id="loses requests"),
        pytest.param(["landed"], id="takes effect unanswered"),
        pytest.param(["landed", "503", "landed"], id="takes effect unanswered among others"),
    ],
)
def test_a_write_is_through_once(server: ObjectServer, tmp_path: Path, faults: list[str]) -> None:
    blobs = patient(server, server.place(tmp_path.name), QUICK)
    server.proxy.faults.extend(faults)
    blobs.create("x", b"nonce-1")
    assert not server.proxy.faults
    assert blobs.read("x") == b"nonce-1"
    server.proxy.faults.extend(faults)
    with pytest.raises(BlobExistsError):
        blobs.create("x", b"nonce-2")
    assert blobs.read("x") == b"nonce-1"


def test_a_time_out_after_the_write_took_effect(server: ObjectServer, tmp_path: Path) -> None:
    blobs = patient(server, server.place(tmp_path.name), RetryLimits(1.0, 60.0, 0.01, 0.05))
    server.proxy.faults.append("hangs")
    assert create_or_find(blobs, "x", b"nonce-1") is None
    assert create_or_find(blobs, "x", b"nonce-2") == b"nonce-1"


@pytest.mark.parametrize("faults", [["503", "lost"], ["slow"], ["landed", "slow"]], ids=" ".join)
@pytest.mark.parametrize("call", ["read", "list", "exists", "size", "head"])
def test_reading_goes_on(server: ObjectServer, tmp_path: Path, faults: list[str], call: str) -> None:
    blobs, data = patient(server, server.place(tmp_path.name), QUICK), bytes(range(256)) * 300
    blobs.replace("many/one", data)
    wanted = {"read": data, "list": ["one"], "exists": True, "size": len(data), "head": data[:70_000]}
    arguments = {"list": ("many",), "head": ("many/one", 70_000)}.get(call, ("many/one",))
    server.proxy.faults.extend(faults)
    assert getattr(blobs, call)(*arguments) == wanted[call]


def test_patience_ends(server: ObjectServer, tmp_path: Path) -> None:
    blobs = patient(server, server.place(tmp_path.name), RetryLimits(5.0, 0.0, 0.01, 0.01))
    server.proxy.faults.append("503")
    with pytest.raises(UnavailableError, match=f"{server.place(tmp_path.name)}/x: 503"):
        blobs.create("x", b"")


def test_no_such_bucket(server: ObjectServer) -> None:
    place = f"{server.scheme}://tandem-nobody/journal"
    with pytest.raises(PlaceError, match="tandem-nobody: there is no such bucket"):
        prepared_journal(place)
    with pytest.raises(PlaceError, match="tandem-nobody: there is no such bucket"):
        journal_exists(place)


class Overwriting(RetriedObjects):
    """A store that doesn't know If-None-Match."""

    def create(self, key: str, data: bytes) -> None:
        self.put(key, data)


def test_a_store_that_overwrites_is_refused(server: ObjectServer, tmp_path: Path) -> None:
    where = location(server.place(tmp_path.name))
    kind: Kind = GcsObjects if server.scheme == "gs" else S3Objects
    with pytest.raises(PlaceError, match="overwrites what should be created only once"):
        ObjectBlobs(Overwriting(kind(where.bucket, 10.0), QUICK), where).prove()


def test_no_message_has_a_credential(server: ObjectServer, tmp_path: Path) -> None:
    blobs = patient(server, server.place(tmp_path.name), RetryLimits(5.0, 0.0, 0.01, 0.01))
    said = [repr(blobs)]
    for fault in ("503", "lost"):
        server.proxy.faults.append(fault)
        with pytest.raises(OSError, match=str(tmp_path.name)) as raised:
            blobs.read("x")
        said += [str(raised.value), repr(raised.value.__context__)]
    assert not any(SECRET in text or "AKIAEXAMPLE" in text for text in said), said
