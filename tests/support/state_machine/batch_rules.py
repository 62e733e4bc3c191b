"""Rules of the state machine: generations, batch runs, the pointer, repairs and questions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from oracles.reconciled import repaired, tampered

from state_machine.laws import NAME
from state_machine.live_rules import PICK, LiveRules
from state_machine.model import KEYS, START, TILE
from tandem.journal.clocks import SECOND
from tandem.schemas.certificate import Status
from tandem.schemas.errors import PublishRefusedError
from tandem.verification.world.live_run import Crash
from tandem.views.answers.point import answer
from tandem.views.rows import DeadLetterStatus

__all__ = ["BatchRules"]


class BatchRules(LiveRules):
    """Everything behind the journal's seals."""

    repairs: int

    # Generations, batch, the pointer

    @rule(pick=PICK)
    def roll(self, pick: int) -> None:
        """One lane begins a generation; the others hear of it in their own time."""
        self.live.readers[pick % len(self.live.readers)].request_roll()
        self.note("roll", self.pull(pick))

    def seal(self, pick: int) -> None:
        """All lanes go over to the next generation."""
        lanes = len(self.live.readers)
        for lane in [pick % lanes, *range(lanes)]:
            for _ in range(4):
                if self.pull(lane) not in ("segment", "fenced"):
                    break
            if lane == pick % lanes and self.world.index().current == self.sealed + 1:
                self.live.readers[lane].request_roll()
                self.pull(lane)
            self.world.clock.advance(SECOND // 2)
        self.sealed = self.world.index().sealed
        self.note("seal", self.sealed)

    seals = rule(pick=PICK)(seal)

    def build(self, pick: int, meanwhile: bool) -> None:
        before = self.world.boundary
        upto = before + 1 + pick % (self.sealed - before)
        interlude = (lambda: self.go_on(pick)) if meanwhile else (lambda: None)
        self.note("backfill", upto, "nothing" if self.world.build(upto, interlude) is None else "built")

    @precondition(lambda self: self.sealed > self.boundary)
    @rule(pick=PICK, meanwhile=st.booleans())
    def backfill(self, pick: int, meanwhile: bool) -> None:
        """Up to any sealed generation; live goes on between its bundles."""
        self.build(pick, meanwhile)

    def go_on(self, pick: int) -> None:
        self.pull(pick)
        if self.live.pending:
            self.live.fire(self.tile(pick))

    @precondition(lambda self: self.sealed > self.boundary)
    @rule(nth=st.integers(1, 5), before=st.booleans())
    def backfill_dies(self, nth: int, before: bool) -> None:
        """Around any of its commits; what it leaves is never served."""
        self.world.fuse.light(nth, before=before)
        with suppress(Crash):
            self.world.build(self.sealed)
        self.note("backfill survives" if self.world.fuse.out() else "backfill dies")

    @rule(pick=PICK)
    def hand_over(self, pick: int) -> None:
        """Live to batch, without any trouble but a publisher that dies; then a late event, now and then."""
        self.flow(pick)
        self.seal(pick)
        if self.sealed > self.world.boundary:
            self.build(pick, False)
            self.publish_view(0, ("", "", "before", "after")[pick % 4])
            if pick % 5 == 0:
                self.compact()
        if pick % 3 == 0:
            self.message("delay", 3)
            self.pull(pick)

    def move_pointer(self, what: str, move: Callable[[], object]) -> None:
        try:
            move()
        except PublishRefusedError:
            self.note(f"{what} refused")
        except Crash:
            self.note(f"{what} dies")
        else:
            self.note(what, self.world.boundary)
        self.world.fuse.out()

    def publish_view(self, pick: int, dies: str) -> None:
        """Of the last batch runs one, with the live run that is served, as backfill does; it may be killed."""
        work = self.world.built[-1 - pick % min(2, len(self.world.built))]
        if dies:
            self.world.fuse.light(1, before=dies == "before")
        served, version = self.world.store.publishing.served(NAME), self.world.definition.version
        live_run = served.live_run if served is not None else work.live_run
        self.move_pointer(
            "publish view", lambda: self.world.store.publishing.publish(NAME, version, work.batch_run, live_run)
        )

    publishes = precondition(lambda self: self.world.built)(
        rule(pick=PICK, dies=st.sampled_from(["", "", "before", "after"]))(publish_view)
    )

    @precondition(lambda self: self.world.built)
    @rule(pick=PICK)
    def roll_back(self, pick: int) -> None:
        """To any publication that there was; also forward again."""
        publications = self.world.store.publishing.publications(NAME)
        target = publications[pick % len(publications)]
        crossed = target.boundary != self.world.boundary
        self.move_pointer("roll back", lambda: self.world.store.publishing.roll_back(NAME, target.ordinal))
        type(self).happened["roll back across a boundary"] += crossed and self.world.boundary == target.boundary

    @precondition(lambda self: self.boundary or self.live.received)
    @rule(keep=st.integers(0, 2))
    def tidy(self, keep: int) -> None:
        """Prune all but the newest publications; or (0) give the dead letters up."""
        if keep:
            self.prune(keep)
        else:
            self.drop_dead_letters()

    def prune(self, keep: int) -> None:
        self.world.store.publishing.prune(NAME, keep)
        store, version = self.world.store, self.world.definition.version
        self.replaced = [run for run in self.replaced if store.live.get(version, run.run.id).status != "DROPPED"]
        self.note("prune", keep)
        self.compact()

    def compact(self) -> None:
        """Join what nothing older that is kept stands apart from, and roll up hours and days."""
        before = self.world.answers()
        done = self.world.compact()
        self.note("compact", done.areas, done.rollups)
        type(self).happened["compact joins"] += done.areas > 0
        type(self).happened["compact rolls up"] += done.rollups > 0
        assert self.world.answers() == before, "compaction changed an answer"

    def drop_dead_letters(self) -> None:
        store, version = self.world.store, self.world.definition.version
        with store.database.read() as connection:
            query = "SELECT position FROM dead_letters WHERE status = 'open' ORDER BY position"
            positions = list(connection.exec_driver_sql(query).scalars())
        places = [(letter.position, letter.row) for letter in store.dead_letters.states(version, DeadLetterStatus.OPEN)]
        store.dead_letters.settle(version, places, DeadLetterStatus.DROPPED)
        self.dropped |= set().union(*(run.received for run in self.world.runs.values()))
        self.note("drop dead letters", len(positions))

    @precondition(lambda self: self.boundary and not self.live.behind)
    @rule(pick=PICK)
    def reconcile(self, pick: int) -> None:
        """With a row of batch broken or lost, or with none: that is found, repaired, and nothing else is."""
        mend = tampered(self.world, pick // 3) if pick % 3 else ()
        self.repairs += 1
        found = repaired(self.world, f"r-{self.repairs}", START)
        with self.world.store.database.write() as connection:
            for statement in mend:
                connection.exec_driver_sql(statement)
        assert found is None or found == bool(mend), f"{found} states repaired, {bool(mend)} broken"
        self.note("reconcile refused" if found is None else "reconcile repairs" if mend else "reconcile", found)

    @rule(pick=PICK, size=st.integers(1, 4))
    def query(self, pick: int, size: int) -> None:
        """A window of several tiles, with its certificate."""
        events, taken = self.expected()
        start = START // TILE * TILE + (pick % 8 - 2) * TILE
        key = KEYS[pick % 2]
        found = answer(self.world.store, self.world.compiled, key, start, start + size * TILE)
        inside = [e for e in events if e.key == key and start <= e.tile < start + size * TILE]
        if self.serving.run is None or not self.serving.run.behind:
            assert found.certificate.events == len(inside), f"{found.certificate.events} events, not {len(inside)}"
            assert found.results["amount"] == (sum(e.amount for e in inside) if inside else None)
        if found.certificate.status is Status.FINAL:
            assert set(inside) == {e for e in taken if e.key == key and start <= e.tile < start + size * TILE}
        self.note("query", found.certificate.status)
