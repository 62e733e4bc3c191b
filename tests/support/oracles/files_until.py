"""Honesty of files: no window is FINAL that ends after what they have told to be complete."""

from __future__ import annotations

import tempfile
from pathlib import Path

from samples.windowed import definition_of

from tandem.schemas.certificate import Status
from tandem.views.answers.point import answer, series
from tandem.views.rows import BatchManifest, Completeness, FileSet, GenerationCounts
from tandem.views.store import ViewStore

__all__ = ["check_files_until"]

TILE = 60_000_000
KEY = '["ann"]'


def check_files_until() -> None:
    """By the newest event, by what the user says (sooner or later than that), and by both in two runs."""
    cases: list[tuple[str, list[tuple[int | None, int | None]], int | None]] = [
        ("newest", [(5 * TILE, None)], 5 * TILE),
        ("newest, within a tile", [(5 * TILE + 1, None)], 5 * TILE + 1),
        ("the later of two sets", [(5 * TILE, None), (3 * TILE, None)], 5 * TILE),
        ("said", [(5 * TILE, 9 * TILE)], 9 * TILE),
        ("said, less than there is", [(5 * TILE, 2 * TILE)], 2 * TILE),
        ("taken back", [(5 * TILE, 9 * TILE), (6 * TILE, 7 * TILE)], 7 * TILE),
        ("said, then more", [(5 * TILE, 9 * TILE), (6 * TILE, None)], 9 * TILE),
        ("no event", [(None, None)], None),
    ]
    for name, runs, until in cases:
        with tempfile.TemporaryDirectory() as folder:
            _check(name, Path(folder), runs, until)


def _check(name: str, folder: Path, runs: list[tuple[int | None, int | None]], until: int | None) -> None:
    compiled, store = definition_of(TILE, TILE), ViewStore(str(folder / "views.db"))
    store.definitions.register(compiled, "")
    parent, sets = None, []
    for number, (newest, said) in enumerate(runs, 1):
        sets.append(FileSet(-number, f"d{number}"))
        run, known = f"B{number}", Completeness(files_until=said)
        store.batch.start(compiled.version, run, boundary=0, parent=parent, file_sets=sets, completeness=known)
        store.batch.finish(run, BatchManifest((GenerationCounts(-number),), newest=newest))
        store.publishing.publish("visits", compiled.version, run)
        parent = run
    points = series(store, compiled, KEY, 0, 12 * TILE).points
    for at in range(1, 13):
        found = answer(store, compiled, KEY, 0, at * TILE).certificate
        final = until is not None and at * TILE <= until
        assert (found.status is Status.FINAL) is final, f"{name}: FINAL up to {at} tiles, complete to {until}"
        assert (points[at - 1].status is Status.FINAL) is final, f"{name}: the series at {at}"
        assert found.complete_to == until, f"{name}: complete to {found.complete_to}, not {until}"
        assert final or found.reasons, f"{name}: no reason"
    store.close()
