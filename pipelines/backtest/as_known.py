"""What rules would have decided with what was known then.

Each window is judged by what had come when the watermark passed its end, against the baseline of batch as it was served
then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.pipelines.backtest.judging import Alert, Judged, add_judged, by_window, unit_of
from tandem.pipelines.backtest.known import Cut, KnownHistory, known_history
from tandem.schemas.columns import GENERATION
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.messages import Decoded
from tandem.schemas.rules.automaton import Codes
from tandem.schemas.rules.compiled import CompiledRule
from tandem.schemas.rules.seasons import look_back
from tandem.schemas.states import merge_blocks
from tandem.storage.urls import is_url
from tandem.views.grids.baselines import GridBaselines, References
from tandem.views.grids.results import Grid, Rows, grid_of, grid_windows, key_ranges
from tandem.views.store import ViewStore

__all__ = ["AsKnown", "Lateness", "as_known", "boundaries_of", "lateness_of"]

Integers = npt.NDArray[np.int64]
BoundaryOf = Callable[[Cut], int]
"""The generation up to which batch was served when a window was judged."""


@dataclass(frozen=True)
class AsKnown:
    """What rules of one window declaration made of a journal, as it was known."""

    known: KnownHistory
    judged: list[Judged]
    until: int
    """The end of the last window that the watermark passed; 0 for none."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """Alerts as known then beside those by all that is known now, of the same windows."""

    rule: str
    then: int
    now: int
    both: int
    """Of those of now the ones that lie over one of then."""
    missed: int
    """Of now alone: what lateness cost."""
    withdrawn: int
    """Of then alone: what batch would have taken back."""


def as_known(
    compiled: CompiledDefinition, rules: Sequence[CompiledRule], journal: str, boundary: BoundaryOf,
    until: int | None = None, before: Callable[[], Iterable[Decoded]] = tuple,
) -> list[AsKnown]:  # fmt: skip
    """What rules make of a journal, window by window as it was known; one entry for each declaration of windows.

    `until`: windows that end later aren't judged; `before`: what batch knew beforehand, of files. Raises JournalError,
    SegmentError.
    """
    found = []
    for window, group in by_window(rules):
        known = known_history(compiled, journal, window, unit_of(compiled.definition.tile, group), before())
        found.append(_judged(compiled, known, group, boundary, until))
    return found


def _judged(
    compiled: CompiledDefinition, known: KnownHistory, rules: Sequence[CompiledRule], boundary: BoundaryOf,
    until: int | None,
) -> AsKnown:  # fmt: skip
    windows, boundaries = _windows(known, boundary, until)
    everything = merge_blocks(compiled.measures, [block for _, block in known.known])
    keys = Rows.of(everything).keys
    codes = {rule.name: np.zeros((len(keys), len(windows)), np.uint8) for rule in rules}
    for first, last in _runs(boundaries):
        batch = [block for generation, block in known.known if generation <= boundaries[first]]
        begin = windows[first][0] - max(_reach(rule) for rule in rules)
        low = next(place for place, window in enumerate(windows) if window[0] >= begin)
        part = _Part(compiled, known, keys, tuple(windows[low:last]), first - low)
        for low_key, found in part.verdicts(rules, everything, merge_blocks(compiled.measures, batch)):
            for name, verdicts in found.items():
                codes[name][low_key : low_key + len(verdicts), first:last] = verdicts
    edges = np.array(windows, np.int64).reshape(len(windows), 2).T
    judged = []
    for rule in rules:
        result = Judged(rule, keys, len(windows))
        if windows:
            add_judged(result, Grid(0, tuple(windows), codes[rule.name].astype(np.int64), edges, {}), codes[rule.name])
        judged.append(result)
    return AsKnown(known, judged, windows[-1][1] if windows else 0)


def _windows(known: KnownHistory, boundary: BoundaryOf, until: int | None) -> tuple[list[tuple[int, int]], list[int]]:
    """The windows that were judged, and up to which generation batch was served then."""
    windows, boundaries = list[tuple[int, int]](), list[int]()
    amount = known.amount
    if amount.first is not None and amount.last is not None and known.cuts:
        for window in grid_windows(known.window, amount.first, known.cuts[-1].watermark):
            cut = known.cut_of(window[1])
            if cut is not None and (until is None or window[1] <= until):
                windows.append(window)
                boundaries.append(boundary(cut))
    return windows, boundaries


def _runs(values: Sequence[int]) -> Iterator[tuple[int, int]]:
    """[first, last) of equal values that follow each other."""
    first = 0
    for place in range(1, len(values) + 1):
        if place == len(values) or values[place] != values[first]:
            yield first, place
            first = place


def _reach(rule: CompiledRule) -> int:
    baseline = rule.rule.baseline
    return look_back(baseline, rule.rule.window) * (1 + baseline.without_alerts) if rule.baselines else 0


@dataclass(frozen=True)
class _Part:
    """Windows that follow each other, and those before that they are compared with, by one state of batch."""

    compiled: CompiledDefinition
    known: KnownHistory
    keys: tuple[str, ...]
    windows: tuple[tuple[int, int], ...]
    judged: int
    """The first of them that is judged."""

    def verdicts(
        self, rules: Sequence[CompiledRule], everything: pa.RecordBatch, batch: pa.RecordBatch
    ) -> Iterator[tuple[int, dict[str, Codes]]]:
        """By the first of some keys their verdicts for each rule."""
        window = self.known.window
        fields = list({field.name: field for rule in rules for field in rule.results}.values())
        references = References(window, self.windows)
        then, before = self._rows(everything, late=True), self._rows(batch, late=False)
        for span in key_ranges(then, len(self.windows)):
            grid, usual = (grid_of(self.compiled, rows, self.windows, window, fields, span) for rows in (then, before))
            usuals = GridBaselines(grid, references, usual)
            yield span[0], {rule.name: usuals.verdicts(rule)[:, self.judged :] for rule in rules}

    def _rows(self, block: pa.RecordBatch, *, late: bool) -> Rows:
        split, lateness = self.known.split(block)
        starts = split.column(GENERATION).to_numpy()
        inside = (starts >= self.windows[0][0]) & (starts < self.windows[-1][1])
        return Rows.of(split.filter(pa.array(inside)), self.keys, lateness[inside] if late else None)


def boundaries_of(journal: str, name: str, url: str | None = None) -> BoundaryOf | None:
    """By what was served when, as a view store has it: that of a URL, or the one beside the journal.

    None where there is none, or nothing was served. Raises StoreError for a URL that can't be opened.
    """
    if url is None:
        path = Path(journal).parent / "views.db"
        if is_url(journal) or not path.is_file():
            return None
        url = f"sqlite:///{path}"
    store = ViewStore(url, create=False)
    try:
        told = sorted((each.published_at, each.boundary) for each in store.publishing.publications(name))
    finally:
        store.close()
    times = np.array([at for at, _ in told], np.int64)

    def boundary(cut: Cut) -> int:
        place = int(np.searchsorted(times, cut.written, side="right"))
        return told[place - 1][1] if place else 0

    return boundary if told else None


def lateness_of(then: Judged, now: Judged) -> Lateness:
    """What alerts of then and now have in common, by key."""
    early, late = then.alerts, now.alerts
    both = sum(map(_overlaps(early), late))
    kept = sum(map(_overlaps(late), early))
    return Lateness(then.rule.name, len(early), len(late), both, len(late) - both, len(early) - kept)


def _overlaps(others: Sequence[Alert]) -> Callable[[Alert], bool]:
    by_key = dict[str, list[Alert]]()
    for each in others:
        by_key.setdefault(each.key, []).append(each)
    return lambda alert: any(
        each.since < alert.until and alert.since < each.until for each in by_key.get(alert.key, ())
    )
