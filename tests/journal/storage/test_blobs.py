"""Blob stores: nothing is overwritten, nothing is half there."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from breaking.unreliable_blobs import UnreliableBlobs

from tandem.journal.storage.blobs import BlobExistsError, BlobMissingError, BlobStore, LocalBlobs, create_or_find
from tandem.journal.storage.memory_blobs import MemoryBlobs
from tandem.schemas.errors import JournalError


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return LocalBlobs(tmp_path / "journal") if request.param == "folder" else MemoryBlobs()


def test_create_read_list(blobs: BlobStore) -> None:
    blobs.create("a/b/2.avro", b"two")
    blobs.create("a/b/1.avro", b"one")
    blobs.create("a/b/c/3.avro", b"three")
    assert blobs.list("a/b") == ["1.avro", "2.avro"]
    assert blobs.list("nowhere") == []
    assert blobs.read("a/b/2.avro") == b"two"
    assert blobs.head("a/b/2.avro", 2) == b"tw"
    assert blobs.size("a/b/c/3.avro") == 5
    assert blobs.exists("a/b/1.avro")
    assert not blobs.exists("a/b/9.avro")


def test_create_never_overwrites(blobs: BlobStore) -> None:
    blobs.create("x", b"first")
    with pytest.raises(BlobExistsError, match="x: exists already"):
        blobs.create("x", b"second")
    assert blobs.read("x") == b"first"


@pytest.mark.parametrize("call", ["read", "head", "size"])
def test_missing(blobs: BlobStore, call: str) -> None:
    arguments = ("a/x", 5) if call == "head" else ("a/x",)
    with pytest.raises(BlobMissingError, match="a/x"):
        getattr(blobs, call)(*arguments)


def test_replace_and_remove(blobs: BlobStore) -> None:
    blobs.replace("h/run", b"1")
    blobs.replace("h/run", b"2")
    assert blobs.read("h/run") == b"2"
    blobs.remove("h/run")
    blobs.remove("h/run")
    assert not blobs.exists("h/run")


def test_one_of_many_creators_wins(blobs: BlobStore) -> None:
    won: list[int] = []

    def create(number: int) -> None:
        try:
            blobs.create("same", str(number).encode())
            won.append(number)
        except BlobExistsError:
            pass

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert blobs.read("same") == str(won[0]).encode()


class Died(BaseException):
    pass


def dies_at(wanted: str) -> Callable[[str], None]:
    def failpoint(name: str) -> None:
        if name == wanted:
            raise Died

    return failpoint


@pytest.mark.parametrize(("instant", "there"), [("after-write", False), ("after-flush", False), ("after-link", True)])
def test_crash_leaves_all_or_nothing(tmp_path: Path, instant: str, there: bool) -> None:
    with pytest.raises(Died):
        LocalBlobs(tmp_path, dies_at(instant)).create("lanes/1.avro", b"bytes")
    after = LocalBlobs(tmp_path)
    assert after.list("lanes") == (["1.avro"] if there else [])
    assert after.exists("lanes/1.avro") == there


def test_leftover_temporary_files_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "lanes").mkdir()
    (tmp_path / "lanes" / ".1.avro.55aa.tmp").write_bytes(b"half")
    assert LocalBlobs(tmp_path).list("lanes") == []


@pytest.mark.parametrize("path", ["/etc/passwd", "a/../../b"])
def test_paths_stay_inside(tmp_path: Path, path: str) -> None:
    with pytest.raises(JournalError, match="stays inside"):
        LocalBlobs(tmp_path).create(path, b"")


@pytest.mark.parametrize(
    ("faults", "mine"),
    [
        pytest.param([], True, id="plain"),
        pytest.param(["landed"], True, id="times out on a write that succeeded"),
        pytest.param(["lost"], True, id="times out on a write that failed"),
        pytest.param(["lost", "landed"], True, id="both"),
    ],
)
def test_create_or_find_knows_its_own(faults: list[str], mine: bool) -> None:
    blobs = UnreliableBlobs()
    blobs.faults.extend(faults)
    assert (create_or_find(blobs, "x", b"nonce-1") is None) == mine
    assert blobs.read("x") == b"nonce-1"
    assert create_or_find(blobs, "x", b"nonce-2") == b"nonce-1"


def test_create_or_find_gives_up_not_knowing() -> None:
    blobs = UnreliableBlobs()
    blobs.faults.extend(["lost"] * 3)
    with pytest.raises(TimeoutError):
        create_or_find(blobs, "x", b"nonce-1")


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "lanes").mkdir()
    with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}/lanes/") as raised:
        LocalBlobs(tmp_path).create("lanes/1", b"x")
    assert raised.value.errno == errno.ENOSPC
    assert not list((tmp_path / "lanes").iterdir())
