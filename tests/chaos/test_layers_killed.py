"""Killed while files of batch states are written, named, published, removed or made anew: nothing is half served,
nothing of others is removed, what nobody names is found. On a folder and in buckets, where two stores share a place.

`make kill` runs the long form: every failpoint, as often as it is reached, and random instants.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes.forked_commands import ForkedCommands, forked_commands
from processes.layer_trials import KILLED, LayerStore, contents, overwrite, plant
from servers.object_servers import SECRET, server_of

from tandem.storage.places import open_place

SEED = int(os.environ.get("TANDEM_KILL_SEED", "20130101"))

pytestmark = [
    pytest.mark.xdist_group("kills"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and starts servers"),
]

BUILDING = ("layer-written", "before-commit", "after-commit", "before-pointer", "after-pointer", "after-publish")
"""Instants of a backfill."""
PRUNING = ("before-commit", "after-commit", "file-removed")
REPAIRING = ("before-commit", "after-commit", "receipt", "before-pointer", "after-pointer")
MOST = 40
"""Times that a failpoint is reached within one command at the most."""

PLACES = [
    pytest.param("folder"),
    pytest.param("s3", marks=pytest.mark.slow),
    pytest.param("gcs", marks=pytest.mark.slow),
    pytest.param("s3-versity", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCommands]:
    """What runs commands; none of them said a credential."""
    with forked_commands(tmp_path_factory.mktemp("commands")) as made:
        yield made
    assert not any(SECRET in said for said in made.log)


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The place of layers on a kind of store."""

    def of(kind: str) -> str:
        if kind == "folder":
            return str(tmp_path / "layers")
        return server_of(kind, request, monkeypatch).place(f"{tmp_path.name}-{time.time_ns()}/layers")

    return of


def until_done(store: LayerStore, command: Callable[..., int], names: tuple[str, ...]) -> int:
    """Kill a command at each instant of these the first time that it is reached, then the second, and so on, until it
    goes through without reaching one of them. How many kills.
    """
    kills = 0
    for nth in range(1, MOST):
        codes = []
        for name in names:
            codes.append(command(f"{name}:{nth}"))
            store.check()
        kills += codes.count(KILLED)
        if KILLED not in codes:
            return kills
    raise AssertionError(f"still killed at the {MOST}th time")


def test_killed_between_file_manifest_and_pointer(commands: ForkedCommands, tmp_path: Path) -> None:
    """The short form: one kill at each step that files have, on a folder."""
    store = LayerStore(tmp_path / "a", str(tmp_path / "layers"), commands)
    store.give()
    for instant in ("layer-written:2", "before-pointer:1"):
        assert store.backfill(instant) == KILLED
        store.check()
    assert store.backfill() == 0
    others = plant(store.place, store.id)
    store.prune()
    assert store.prune("file-removed:1") == KILLED
    store.check_done()
    store.settle()
    assert contents(store.place, "").items() >= others.items()


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.slow
def test_every_instant(kind: str, commands: ForkedCommands, tmp_path: Path, place: Callable[[str], str]) -> None:
    """Of two stores that share a place: backfills one over the other, then pruning."""
    where, kills = place(kind), 0
    stores = [LayerStore(tmp_path / name, where, commands) for name in "ab"]
    for store in stores:
        store.give()
        assert store.backfill() == 0
    others = plant(where, stores[0].id)
    for name in BUILDING:
        for store in stores:
            store.give()
            kills += until_done(store, store.backfill, (name,))
            store.check_done()
    for name in PRUNING:
        store = stores[0]
        store.give()
        assert store.backfill("layer-written:1") == KILLED
        assert store.backfill() == 0
        kills += until_done(store, store.prune, (name,))
        stores[1].check_done()
    for store in stores:
        store.settle()
    settled(stores, others)
    print(f"\n{kind}: {kills} kills of two stores in one place: nothing half served, nothing of others removed")


def settled(stores: list[LayerStore], others: dict[str, bytes]) -> None:
    """Nothing lies at the place but what stores name, and others' files, as they were."""
    found = contents(stores[0].place, "")
    assert {path: found.get(path) for path in others} == others
    named = {path for store in stores for path in store.named()}
    unknown = {path for path in others if path in found}
    assert found.keys() == named | unknown


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda data: None,
    "cut": lambda data: data[:-700],
    "flipped": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.slow
def test_killed_while_a_file_is_made_anew(
    kind: str, damage: str, commands: ForkedCommands, tmp_path: Path, place: Callable[[str], str]
) -> None:
    """`reconcile --deep` dies at each of its instants; until it is through the damage is named, nothing half read."""
    store, kills = LayerStore(tmp_path / "a", place(kind), commands), 0
    for _ in range(2):
        store.give()
        assert store.backfill() == 0
    for name in REPAIRING:
        path = store.named()[0] if store.named() else ""
        if not path:
            store.give()
            assert store.backfill() == 0
            path = store.named()[0]
        overwrite(store.place, path, DAMAGES[damage](open_place(store.place).get(path)))
        for nth in range(1, MOST):
            code = store.reconcile(f"{name}:{nth}")
            store.check_damage_is_named()
            kills += code == KILLED
            if code == 0:
                break
        store.check_done()
    store.settle()
    print(f"\n{kind}, {damage}: {kills} kills of reconcile --deep")


@pytest.mark.parametrize("kind", ["s3", pytest.param("gcs", marks=pytest.mark.slow)])
def test_a_bucket_of_two_stores(
    kind: str, commands: ForkedCommands, tmp_path: Path, place: Callable[[str], str]
) -> None:
    """The short form: a kill, a damaged file and pruning, beside another store of the bucket."""
    where = place(kind)
    store, other = (LayerStore(tmp_path / name, where, commands) for name in "ab")
    for one in (store, other):
        one.give()
    assert store.backfill("layer-written:1") == KILLED
    assert store.backfill() == 0
    assert other.backfill() == 0
    kept = contents(where, other.id)
    path = store.named()[0]
    overwrite(where, path, DAMAGES["flipped"](open_place(where).get(path)))
    with pytest.raises(Exception, match=rf"layer file {where}/{path} is damaged.*tandem reconcile --deep"):
        store.check_done()
    assert store.reconcile() == 0
    store.settle()
    assert contents(where, other.id) == kept
    other.check_done()


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.slow
def test_random_instants(kind: str, commands: ForkedCommands, tmp_path: Path, place: Callable[[str], str]) -> None:
    chance, store, kills = random.Random(SEED), LayerStore(tmp_path / "a", place(kind), commands), 0
    for _ in range(4):
        store.give()
        begun = time.monotonic()
        assert store.backfill() == 0
        takes = time.monotonic() - begun
        store.give()
        for _ in range(5):
            kills += store.backfill(after=chance.uniform(0, 1.2 * takes)) == KILLED
            store.check()
            kills += store.prune(after=chance.uniform(0, 0.5)) == KILLED
            store.check()
        assert store.backfill() == 0
        store.check_done()
    store.settle()
    print(f"\n{kind}: {kills} kills at random instants")
