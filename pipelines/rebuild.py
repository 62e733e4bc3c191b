"""Rebuilds a view store from the journal and the recorded files of backfills."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from apache_beam.options.pipeline_options import PipelineOptions

from tandem.formats.files.listing import real_path
from tandem.formats.files.reading import expand
from tandem.journal.clocks import SystemClock
from tandem.journal.runs.heartbeats import find_alive
from tandem.journal.runs.manifests import list_runs
from tandem.journal.runs.sealing import is_run_sealed
from tandem.journal.storage.opening import journal_exists, open_blobs
from tandem.pipelines.backfill import run_configs
from tandem.pipelines.bounded.flags import parse
from tandem.pipelines.bounded.plan import BackfillConfig
from tandem.pipelines.bounded.taken_in import Taken, recorded_names, taken_in
from tandem.runners.options.places import Home, scratch_below
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import StoreError, UserError, WriterAliveError
from tandem.storage.urls import beside
from tandem.views.results.revisions.closing import begin_revisions_above
from tandem.views.storage.opening import close_store, open_store

__all__ = ["Rebuilt", "rebuild"]

_PARTS: Final = ("", "-wal", "-shm", "-mark")
"""The files of an SQLite store, by suffix."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One definition in the rebuilt store."""

    name: str
    boundary: int
    files: int
    missing: tuple[str, ...]


def rebuild(home: Home, definitions: Sequence[str], files: Sequence[str], flags: Sequence[str] = ()) -> list[Rebuilt]:
    """Rebuild the store at `home.store`; the new one takes its place, and the old one is kept beside it.

    Args:
        home: its journal and the records beside it are read; the old store isn't opened.
        definitions: their files; none: all definitions that backfills have run for.
        files: data files beyond the recorded ones, as for `tandem backfill --files`.
        flags: further ones for `tandem backfill`.

    Raises UserError, WriterAliveError for a live run that would still write to the old store, and a backfill's errors;
    the old store stays then.
    """
    _refuse_alive(home)
    with _definition_files(home, definitions) as paths, _new_store(home) as fresh:
        rebuilt = list[Rebuilt]()
        for path in paths:
            config, options = _config(fresh, path, files, flags)
            # The old store may have sent any number of revisions, but fewer than one a second since 1970.
            begin_revisions_above(open_store(fresh.store).database, config.definition.name, int(time.time()))
            run_configs([config], options, processes=not rebuilt)
            rebuilt.append(_served(fresh, config))
    return rebuilt


def _config(
    home: Home, path: str, files: Sequence[str], flags: Sequence[str]
) -> tuple[BackfillConfig, PipelineOptions]:
    """A backfill of all existing input, which declares lost input as missing."""
    places = ["--journal", home.journal, "--store", home.store, "--dead-letters", home.dead_letters]
    scratch = ["--scratch", scratch_below(beside(home.journal, ""))]
    # Records that were bad were served as bad before.
    more = ["--max-bad", "100%", "--accept-missing-segments", "--copies"]
    (config,), options = parse(
        read_arguments(
            "backfill",
            ["--definition", path, *places, *scratch, *more, *flags],
        )
    )
    taken = taken_in(home, config.definition.name, config.definition.version)
    there, missing = _still_there(taken, files, config.piece_memory)
    until = config.complete_until
    if until is None:
        until = next((each.complete_until for each in reversed(taken) if each.complete_until is not None), None)
    return replace(config, files=tuple(there), complete_until=until, accept_missing=tuple(missing)), options


def _still_there(taken: Sequence[Taken], files: Sequence[str], memory: int) -> tuple[list[str], list[str]]:
    """(files to read, a line for each recorded file that is lost or has changed)."""
    recorded = {real_path(path): digest for each in taken for path, _, digest in each.files}
    present = [path for path in recorded if "://" in path or os.path.exists(path)]
    listed = expand([*present, *files], memory) if present or files else ()
    kept = [ref for ref in listed if recorded.get(ref.path, ref.digest) == ref.digest]
    contents, paths = {ref.digest for ref in kept}, {ref.path for ref in listed}
    missing = []
    for path, digest in sorted(recorded.items()):
        if digest not in contents:
            missing.append(f"file {path}" + (", whose content has changed" if path in paths else ""))
    return [ref.path for ref in kept], missing


def _served(home: Home, config: BackfillConfig) -> Rebuilt:
    store = open_store(home.store)
    served = store.publishing.served(config.definition.name)
    if served is None or served.batch_run is None:
        raise UserError(
            f"{config.definition.name}: there is nothing to make it of, neither a sealed generation nor a file; "
            "`tandem live` replays a journal that isn't sealed"
        )
    run = store.batch.get(served.batch_run)
    return Rebuilt(config.definition.name, run.boundary, len(config.files), run.completeness.missing)


def _refuse_alive(home: Home) -> None:
    if not journal_exists(home.journal):
        return
    blobs = open_blobs(home.journal)
    runs = [run for run in list_runs(blobs).values() if not is_run_sealed(blobs, run.id, run.lanes)]
    alive = find_alive(blobs, SystemClock(), {run.id: run.heartbeat_interval for run in runs})
    if alive is not None:
        raise WriterAliveError(f"run {alive} is alive and writes the view store: end it with `tandem stop` first")


@contextmanager
def _definition_files(home: Home, definitions: Sequence[str]) -> Iterator[list[str]]:
    """The given files, else the definitions as of their newest backfills, in a temporary folder."""
    if definitions:
        yield list(definitions)
        return
    names = recorded_names(home)
    if not names:
        raise UserError(f"nothing was taken in by a backfill beside {home.journal}: name the files of the definitions")
    with tempfile.TemporaryDirectory(prefix="tandem-rebuild-") as folder:
        paths = []
        for name in names:
            paths.append(str(Path(folder) / f"{name}.yaml"))
            Path(paths[-1]).write_text(taken_in(home, name)[-1].definition, encoding="utf-8")
        yield paths


@contextmanager
def _new_store(home: Home) -> Iterator[Home]:
    """The home with an empty store, which replaces the old one at the end."""
    if not home.store.startswith("sqlite:///"):
        # A server's database can't be set aside by renaming it: the user must name an empty one.
        store = open_store(home.store)
        if store.definitions.any_registered():
            raise StoreError(f"view store {store.database.where}: isn't empty; name an empty database with --store")
        yield home
        return
    path = Path(home.store.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.rebuilding")
    for part in _PARTS:
        Path(f"{fresh}{part}").unlink(missing_ok=True)
    url = f"sqlite:///{fresh}"
    try:
        yield replace(home, store=url)
    finally:
        close_store(url)
        for name in path.parent.glob(f"{fresh.name}.*.turn"):
            name.unlink()
    replaced = f"{path}.replaced-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    for part in _PARTS:
        if os.path.exists(f"{path}{part}"):
            os.replace(f"{path}{part}", f"{replaced}{part}")
    for part in _PARTS:
        if os.path.exists(f"{fresh}{part}"):
            os.replace(f"{fresh}{part}", f"{path}{part}")
