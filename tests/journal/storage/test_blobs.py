"""Blobs in a folder: nothing is half there; and creating in a store that times out. test_places has the contract."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from breaking.unreliable_blobs import UnreliableBlobs

from tandem.journal.storage.blobs import LocalBlobs, create_or_find


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
