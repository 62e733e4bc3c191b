"""A stage on an engine, and what is wrong with what it answers."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from on_engines.engines import Engine
from samples import orders
from samples.orders import States

from processes.stages import Stage, Tandem, View, wait_for
from tandem.schemas.certificate import Status
from tandem.views.answers.merging import merge_results
from tandem.views.answers.point import answer

__all__ = ["IDLE", "LIVE", "Bench", "differences"]

LIVE: Final = ("--generation-interval", "2s", "--max-messages", "200")
SHARDS: Final = ("--shards", "4")
"""More than any engine here is parallel."""
IDLE: Final = ("--until-idle", "11s")
"""Longer than the subscription's acknowledge deadline."""
_SHOWN: Final = 3
"""Of the differences."""


def differences(found: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> dict[str, Any]:
    """How answers differ, with the number of orders lost and counted twice: empty when they don't."""
    none = {"orders": 0}
    balance = {
        place: found.get(place, none)["orders"] - wanted.get(place, none)["orders"]
        for place in found.keys() | wanted.keys()
    }
    unequal = [
        (place, found[place], wanted[place])
        for place in sorted(wanted.keys() & found.keys())
        if found[place] != wanted[place]
    ]
    report = {
        "lost": -sum(n for n in balance.values() if n < 0),
        "twice": sum(n for n in balance.values() if n > 0),
        "unequal": unequal[:_SHOWN],
    }
    return {name: value for name, value in report.items() if value}


@dataclass
class Bench:
    """Publishes orders, runs pipelines on its engine, and compares with SQL over what was published."""

    stage: Stage
    engine: Engine
    cluster: Any = None
    """That the engine needs, if any; see tandem.runners.flink.cluster."""
    published: list[bytes] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    layer_threshold: str = "20000"
    """Of its backfills."""

    @property
    def folder(self) -> Path:
        """For definitions and files."""
        return self.stage.folder

    def publish(self, messages: Sequence[bytes]) -> None:
        """Publish, and remember."""
        self.stage.publish(messages)
        self.published += messages

    def write(self, messages: Sequence[bytes]) -> None:
        """A file of these messages, and remember."""
        self.files.append(self.folder / f"orders-{len(self.files)}.jsonl")
        self.files[-1].write_bytes(b"".join(message + b"\n" for message in messages))
        self.published += messages

    def live(self, *definitions: Path, flags: Sequence[str] = (), lanes: int | None = None) -> Tandem:
        """Start live on the engine."""
        lanes = lanes or self.engine.lanes or 2
        engine = (*SHARDS, *self.engine.of_live(self.cluster))
        return self.stage.live(definitions, *LIVE, "--lanes", str(lanes), *engine, *flags)

    def backfill(self, *definitions: Path, flags: Sequence[str] | None = None) -> None:
        """Run a backfill to its end, on the engine unless flags say otherwise."""
        named = [text for path in definitions for text in ("--definition", str(path))]
        files = [text for path in self.files for text in ("--files", str(path))]
        flags = self.engine.of_backfill(self.cluster) if flags is None else flags
        layers = ("--layer-threshold", self.layer_threshold)
        # Scenarios of bad input are mostly of it.
        self.well(self.stage.start("backfill", *named, *files, *SHARDS, *layers, *flags, "--max-bad", "100%"))

    def well(self, process: Tandem) -> None:
        """Wait for its end; it must be a good one."""
        code, said = process.end(), process.said()
        assert code == 0, f"{process.process.args!r} ended with {code}:\n{said}"
        assert "Traceback" not in said, said

    def counted(self, definition: Path) -> int:
        """Orders in all answers."""
        return sum(self.view(definition).counts().values())

    def until_counted(self, definition: Path, live: Tandem, messages: Sequence[bytes] | None = None) -> None:
        """Wait until the answers hold as many orders as these messages (default: all that were published)."""
        wanted = sum(a["orders"] for a in orders.answers(self.published if messages is None else messages).values())
        wait_for(
            f"{wanted} orders in the answers",
            lambda: self.counted(definition) >= wanted or live.has_ended(),
        )
        assert not live.has_ended(), live.said()

    def view(self, definition: Path) -> View:
        """What a definition answers; made once."""
        if definition not in self._views:
            self._views[definition] = self.stage.view(definition)
        return self._views[definition]

    _views: dict[Path, View] = field(default_factory=dict)

    # What is wrong

    def check(self, definition: Path, *, late: Sequence[bytes] = (), key: str = "shop") -> None:
        """Every answer is SQL's over all that was published but the late ones, and nothing is unbalanced."""
        counted = [message for message in self.published if message not in set(late)]
        view = self.view(definition)
        found = {place: orders.ready(results) for place, results in view.results().items()}
        wrong = differences(found, orders.answers(counted, key=key))
        assert wrong == {}
        assert view.unbalanced() == {}

    def check_states(self, definition: Path, *, late: Sequence[bytes] = (), key: str = "shop") -> None:
        """The last state of every (generation, key, tile) of the served live run is SQL's over the journal.

        A copy of an order of another generation counts in one of them: then only the numbers of orders have bounds.
        """
        passed_over = set(late)
        messages = [m for m in orders.journaled(self.stage.home / "journal") if m[1] not in passed_over]
        generations = Counter(payload for _, payload in set(messages))
        alone = [message for message in messages if generations[message[1]] == 1]
        most, least = orders.states(messages, key=key), orders.states(alone, key=key)
        found = self.states(definition)
        assert found.keys() <= most.keys()
        for place, state in most.items():
            low = least.get(place, {"orders": 0})
            here = found.get(place, {"orders": 0})
            assert low["orders"] <= here["orders"] <= state["orders"], (place, low, here, state)
            if low == state:
                assert here == state, place

    def states(self, definition: Path) -> States:
        """All live states that are served, by generation, as they lie in the store."""
        view = self.view(definition)
        served = view.served
        assert served is not None
        with contextlib.closing(sqlite3.connect(self.stage.store.removeprefix("sqlite:///"))) as connection:
            rows = connection.execute(
                "select generation, key, tile, states from live_states where run = (select r.id from live_runs r "
                "join definitions d on r.definition = d.id where d.version = ? and r.run = ?)",
                (view.compiled.version, served.live_run),
            ).fetchall()
        results = merge_results(view.compiled, [r[3] for r in rows], np.arange(len(rows)), len(rows), "states")
        return {
            (generation, key, tile): orders.ready(result)
            for (generation, key, tile, _), result in zip(rows, results, strict=True)
        }

    def check_batch_alone(self, definition: Path) -> None:
        """Nothing of the answers is live's, and every message is in a batch run's counts."""
        view = self.view(definition)
        served = view.served
        assert served is not None
        assert served.batch_run is not None
        assert self.states_after(definition, served.boundary) == {}
        assert view.received_by_batch() >= len(self.published)

    def states_after(self, definition: Path, boundary: int) -> States:
        """Live states of generations after a boundary."""
        served = self.view(definition).served
        if served is None or served.live_run is None:
            return {}
        return {place: state for place, state in self.states(definition).items() if place[0] > boundary}

    def check_final(self, definition: Path) -> None:
        """All answers but those of the last hour and a half are FINAL."""
        view = self.view(definition)
        places = view.counts().keys()
        last = max(start for _, start in places)
        for key, start in places:
            if start < last - 3 * orders.HOUR // 2:
                certificate = answer(view.store, view.compiled, key, start, start + orders.TILE).certificate
                assert certificate.status is Status.FINAL, certificate
