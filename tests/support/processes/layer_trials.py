"""Stores whose batch states lie in files at a place that they share, and commands on them that are killed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from samples import sales
from samples.sales import START, Sale, differences, expected
from samples.sales_files import write_jsonl

from processes.forked_commands import ForkedCommands
from tandem.schemas.errors import DamagedStoreError
from tandem.schemas.failpoints import FAILPOINT_VARIABLE
from tandem.storage.opening import objects_at
from tandem.storage.places import open_place
from tandem.storage.urls import is_url, location
from tandem.views.answers.all_steps import all_answers
from tandem.views.layers.removing import GRACE
from tandem.views.layers.tables import batch_files
from tandem.views.storage.tables import store_version
from tandem.views.store import ViewStore

__all__ = ["KILLED", "LayerStore", "contents", "overwrite", "plant"]

KILLED = -9
COMPILED = sales.compiled()
EVENTS = 24
MONTHS = 40 * 86_400_000_000
"""So far apart that states lie in two files."""
GRACE_SECONDS = GRACE / 1e6


@dataclass
class LayerStore:
    """A home that takes in one file of events after the other, into files at a place."""

    folder: Path
    place: str
    commands: ForkedCommands
    given: list[Sale] = field(default_factory=list)
    """Events of all files that were handed to a backfill so far."""
    before: list[Sale] = field(default_factory=list)
    """Those of the last file left out."""
    threshold: str = "0"
    ahead: float = 0.0
    """Seconds that its commands' clocks are ahead."""

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "sales.yaml").write_text(sales.text())

    @property
    def _definition(self) -> Path:
        return self.folder / "sales.yaml"

    @property
    def store(self) -> ViewStore:
        """Opened anew: what a process knows of it must not hide what is stored."""
        return ViewStore(str(self.folder / "home" / "views.db"))

    def give(self) -> None:
        """The next file: events of two months, half of them in tiles that have some already."""
        self.before = list(self.given)
        first = len(self.given) * 3 // 4
        times = (START + n % 2 * MONTHS + n * 3_000_000 for n in range(first, first + EVENTS))
        mine = [Sale(f"{len(self.given)}-{n}", at, "ab"[n % 2], 0.5 * n, n, "book") for n, at in enumerate(times)]
        write_jsonl(self.folder / f"{len(self.given)}.jsonl", mine)
        self._last = self.folder / f"{len(self.given)}.jsonl"
        self.given += mine

    def backfill(self, instant: str = "", after: float | None = None) -> int:
        """Take the last file in; the exit code."""
        words = ("--definition", self._definition, "--files", self._last, "--layer-threshold", self.threshold)
        return self._run("backfill", *words, "--layers", self.place, instant=instant, after=after)

    def prune(self, instant: str = "", after: float | None = None) -> int:
        """Keep the newest batch run; the grace time of what was seen to be unnamed before is over."""
        self.ahead += GRACE_SECONDS + 1
        return self._run("prune", self._definition, "--keep", 1, instant=instant, after=after)

    def reconcile(self, instant: str = "", after: float | None = None) -> int:
        """`--deep`."""
        return self._run("reconcile", self._definition, "--deep", instant=instant, after=after)

    def _run(self, *words: object, instant: str, after: float | None) -> int:
        env = {FAILPOINT_VARIABLE: instant} if instant else {}
        code = self.commands.run(*words, "--home", self.folder / "home", env=env, ahead=self.ahead, after=after)
        assert code in (0, KILLED), self.commands.log[-1]
        assert "Traceback" not in self.commands.log[-1]
        return code

    def wrong(self, wanted: Sequence[Sale]) -> list[str]:
        """How its answers differ from those of some events."""
        store = self.store
        try:
            found = {(row.key, row.start): row.results for row in all_answers(store, COMPILED)}
        finally:
            store.close()
        return differences(found, expected(wanted))

    def check(self) -> None:
        """Answers are those before the last file, or after it: nothing is half served."""
        if not (self.folder / "home" / "views.db").exists():
            return
        wrong = self.wrong(self.given)
        assert not wrong or not self.wrong(self.before), f"half served: {wrong[:3]}"

    def check_done(self) -> None:
        """Answers are those of all that was given."""
        assert self.wrong(self.given) == []

    def check_damage_is_named(self) -> None:
        """Answers that a damaged file is part of are refused in one line that says what mends it, or all are right."""
        try:
            self.check_done()
        except DamagedStoreError as error:
            said = str(error)
        else:
            return
        assert "layer file" in said
        assert "tandem reconcile --deep" in said

    def named(self) -> list[str]:
        """Paths of files that the store names."""
        store = self.store
        with store.database.read() as connection:
            found = sorted(connection.execute(sa.select(batch_files.c.path)).scalars())
        store.close()
        return found

    @property
    def id(self) -> str:
        """Its folder at the place."""
        store = self.store
        with store.database.read() as connection:
            found = str(connection.execute(sa.select(store_version.c.id)).scalar_one())
        store.close()
        return found

    def lying(self) -> list[str]:
        """Paths of its files at the place, but for what `plant` put there."""
        return sorted(one.key for one in open_place(self.place).walk(self.id) if "/unknown/" not in one.key)

    def settle(self) -> None:
        """What nothing names any more is noted, and gone after the grace time: nothing else is missing."""
        for _ in range(2):
            assert self.prune() == 0
        assert self.lying() == self.named()
        self.check_done()


def contents(place: str, prefix: str) -> dict[str, bytes]:
    """All that lies below a prefix."""
    where = open_place(place)
    return {one.key: where.get(one.key) for one in where.walk(prefix)}


def plant(place: str, store: str) -> dict[str, bytes]:
    """Files of others at a place: of another store, of a run that the store doesn't know, and beside all stores."""
    wanted = {f"{store}/unknown/x.arrow": b"u", "another/B1/x.arrow": b"a", "beside.txt": b"b"}
    for path, data in wanted.items():
        open_place(place).create(path, data)
    return wanted


def overwrite(place: str, path: str, data: bytes | None) -> None:
    """Put other bytes in the place of a file, or with None take it away: what hands and disks do, not Tandem."""
    if data is None:
        open_place(place).remove(path)
    elif is_url(place):
        found = location(place)
        objects_at(found).put(f"{found.key}/{path}", data)
    else:
        Path(place, path).write_bytes(data)
