"""Reconciles batch with its own records, with live and with the journal: `python -m tandem.pipelines.reconcile ...`.

The view store alone decides which tiles are suspect. Only these are computed again, from the segments that hold them.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.formats.files.pieces import MAX_PIECE_MEMORY
from tandem.pipelines.bounded.reconcile_report import Outcome, report
from tandem.pipelines.bounded.rereading import Reread, begun_at, plan_reread
from tandem.pipelines.console.printing import progress
from tandem.pipelines.planning.launch import entry
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import PLANNED_BATCH_RUN, Sketch, plain_options
from tandem.pipelines.templated.commands import command_pipeline
from tandem.pipelines.templated.detection import is_template
from tandem.runners.options.beam import beam_options
from tandem.runners.options.definition_places import definition_at
from tandem.runners.options.places import Home, scratch_below
from tandem.runners.options.reading import Arguments
from tandem.runners.submission.launching import launch, local_batch_runner, wait
from tandem.schemas.certificate import time_text
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import ParityError, UserError
from tandem.schemas.privacy.files import need_folder
from tandem.storage.urls import beside
from tandem.transforms.batch.work import Work
from tandem.transforms.reconcile.judging import Judgement, judge
from tandem.transforms.reconcile.reconciling import (
    ReadAgain,
    RecomputeTiles,
    RouteWanted,
    WriteRecomputed,
    recomputed_tiles,
)
from tandem.transforms.tiles import LetterSource
from tandem.views.batch.chain_sources import covered_at, rows_of
from tandem.views.layers.rollups.auditing import let_go_of_wrong
from tandem.views.reconcile.auditing import Audit, audit
from tandem.views.reconcile.receipts import Drift
from tandem.views.reconcile.repairing import Findings, write_findings
from tandem.views.reconcile.tile_audit import IdSum, Place
from tandem.views.reconcile.tile_causes import Causes
from tandem.views.reconcile.tile_knowledge import ViewRef
from tandem.views.storage.opening import open_store
from tandem.views.storage.sqlite import no_store_at
from tandem.views.store import ViewStore

__all__ = [
    "RECONCILE",
    "Outcome",
    "ReconcileConfig",
    "build",
    "check_logic",
    "config_of",
    "main",
    "parse",
    "reconcile",
    "run",
]


@dataclass(frozen=True, slots=True)
class ReconcileConfig:
    """Configuration of a reconcile run."""

    definition: Definition
    home: Home
    dry_run: bool = False
    everything: bool = False
    """Whether every tile is computed again, suspect or not."""
    piece_memory: int = MAX_PIECE_MEMORY
    """Most bytes of memory for reading one piece of a file again."""


def parse(arguments: Arguments) -> tuple[ReconcileConfig, PipelineOptions]:
    """A config, and Beam's options. Raises UserError."""
    arguments.check_required()
    return config_of(arguments, definition_at(arguments["definition"])), beam_options(arguments)


def config_of(arguments: Arguments, definition: Definition) -> ReconcileConfig:
    """The config of the flags, for a definition from any place. Raises UserError."""
    return ReconcileConfig(
        definition, arguments.home, arguments["dry_run"], arguments["deep"], arguments["max_piece_memory"]
    )


def run(arguments: Arguments) -> None:
    """Reconcile and print the findings. Raises TandemError, among them ParityError for errors in the logic."""
    config, options = parse(arguments)
    if is_template(options):
        launch(command_pipeline(arguments, options))
        return
    console = progress()
    outcome = reconcile(config, options)
    for line in report(config.definition.name, outcome, dry_run=config.dry_run):
        console.print(line, markup=False)
    check_logic(config, outcome)


def check_logic(config: ReconcileConfig, outcome: Outcome) -> None:
    """Raise ParityError for values that differ although the same events were counted; they are never repaired."""
    if outcome.logic:
        tile, key, side = outcome.logic[0]
        raise ParityError(
            f"{config.definition.name}: LOGIC: {len(outcome.logic)} states differ although the same events were"
            f" counted, first key {key} of {side} in tile {time_text(tile)}: the code that counted them computes"
            " otherwise; nothing of them was repaired: find out why, and build a new batch run"
        )


def reconcile(config: ReconcileConfig, options: PipelineOptions) -> Outcome:
    """Audit, compute suspect tiles again, repair, and store new findings. Raises TandemError."""
    store, begun = _store(config), time.monotonic()
    found = audit(
        store,
        compile_definition(config.definition),
        deduplicates=config.definition.deduplicate,
        everything=config.everything,
    )
    reread, judgements = None, dict[int, Judgement]()
    if found.suspects and found.scope.batch_run is not None:
        reread = plan_reread(
            store, found.scope, config.definition.source, config.home.journal, found.suspects, config.piece_memory
        )
        judgements = _judge(config, options, store, found, reread)
    drift = _drift(config, store, found, judgements)
    summary = _summary(found, judgements, drift, reread, time.monotonic() - begun)
    written = None
    if not config.dry_run and found.scope.publication:
        repairs = [judged.repair for judged in judgements.values() if judged.repair is not None]
        now = time.time_ns() // 1000
        let_go_of_wrong(store.database, store.chains, found.scope.definition, now)
        damaged = [(row, found.batch.sound(row)) for row in found.batch.damaged]
        findings = Findings(found.scope, repairs, drift, summary, damaged, found.batch.damaged_files)
        written = write_findings(store, findings, _repair_name(), now)
    return Outcome(found, judgements, drift, summary, written)


def _repair_name() -> str:
    return f"r-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


def _store(config: ReconcileConfig) -> ViewStore:
    url = config.home.store
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise UserError(no_store_at(url.removeprefix("sqlite:///")))
    store = open_store(url)
    served = store.publishing.served(config.definition.name)
    if served is not None and served.version != config.definition.version:
        raise UserError(
            f"{config.definition.name}: definition changed: version {served.version} is served, and this file is "
            f"version {config.definition.version}: every difference would be of the definition; reconcile by name, "
            "or compare the versions with `tandem diff`"
        )
    return store


def _judge(
    config: ReconcileConfig, options: PipelineOptions, store: ViewStore, found: Audit, reread: Reread
) -> dict[int, Judgement]:
    """Compute the suspect tiles again in a Beam pipeline, and judge each."""
    root = scratch_below(beside(config.home.journal, ""))
    need_folder(root)
    with tempfile.TemporaryDirectory(prefix="reconcile-", dir=root) as folder:
        local_batch_runner(options)
        wait(launch(build(config, options, found, reread, folder)))
        rows = rows_of(store, found.scope, found.suspects)
        return {fresh.tile: judge(found, fresh, rows[fresh.tile]) for fresh in recomputed_tiles(folder, found.suspects)}


def build(
    config: ReconcileConfig, options: PipelineOptions, found: Audit, reread: Reread, folder: str
) -> beam.Pipeline:
    """The pipeline's graph: computes the suspect tiles from their segments and pieces of files, one result file each in
    `folder`.
    """
    definition, scope, url = config.definition, found.scope, config.home.store
    floor = found.live.floor if found.live is not None else 0
    view = ViewRef(url, definition.version, str(scope.batch_run), scope.live_run, floor)
    letters = LetterSource(url, scope.boundary, scope.batch_run)
    pipeline = beam.Pipeline(options=options)
    _ = (
        pipeline
        | "Work" >> beam.Create(list(reread.items)).with_output_types(Work)
        | "Input" >> ReadAgain(definition, config.home.journal)
        | "Route" >> RouteWanted(definition, frozenset(found.suspects), letters)
        | "Tiles" >> RecomputeTiles(definition, view)
        | "Results" >> WriteRecomputed(folder)
    )
    return pipeline


def _drift(config: ReconcileConfig, store: ViewStore, found: Audit, judgements: Mapping[int, Judgement]) -> list[Drift]:
    """The counts of live and of batch (after the repair), for every tile and generation that both hold."""
    if found.live is None or found.scope.batch_run is None:
        return []
    causes: dict[Place, Causes] = dict(found.causes)
    for judged in judgements.values():
        causes |= judged.causes
    places = sorted(found.places())
    begun = begun_at(config.home.journal, {generation for _, generation in places})
    published = covered_at(store, found.scope)
    covered = {g: min(at for b, at in published.items() if b >= g) for g in {generation for _, generation in places}}
    drift = []
    for tile, generation in places:
        said = found.live.said.get((tile, generation), IdSum())
        batch = _batch_counts(found, judgements.get(tile), tile, generation)
        cause = causes.get((tile, generation), Causes())
        drift.append(
            Drift(
                tile,
                generation,
                said.counted,
                batch.counted,
                said.digest or 0,
                batch.digest or 0,
                cause,
                begun.get(generation),
                covered[generation] if cause.explained else None,
            )
        )
    return drift


def _batch_counts(found: Audit, judged: Judgement | None, tile: int, generation: int) -> IdSum:
    if judged is not None and judged.counted is not None:
        return judged.counted.get(generation, IdSum())
    return found.batch.ids_written.get((tile, generation), IdSum())


def _summary(
    found: Audit, judgements: Mapping[int, Judgement], drift: Sequence[Drift], reread: Reread | None, seconds: float
) -> dict[str, Any]:
    """Counts of the audit and its findings; plain data."""
    repairs = [judged.repair for judged in judgements.values() if judged.repair is not None]
    keys = [key.cause for repair in repairs for key in repair.keys]
    return {
        "states": found.rows,
        "tiles": len(found.batch.tiles),
        "suspect_tiles": len(found.suspects),
        "repaired_tiles": len(repairs),
        **{cause: keys.count(cause) for cause in ("wrong", "missing", "extra")},
        "late": sum(each.causes.late for each in drift),
        "straddlers": sum(each.causes.arrived for each in drift),
        "missing_in_live": sum(each.causes.missing for each in drift),
        "extra_in_live": sum(each.causes.extra for each in drift),
        "logic": sum(len(judged.batch_logic) + len(judged.live_logic) for judged in judgements.values()),
        "segments_read": reread.segments if reread is not None else 0,
        "segments": reread.segments_of_all if reread is not None else None,
        "pieces_read": reread.pieces if reread is not None else 0,
        "pieces": reread.pieces_of_all if reread is not None else None,
        "seconds": round(seconds, 3),
    }


def _sketch(arguments: Arguments) -> tuple[Sketch, ...]:
    config, options = parse(arguments)
    local_batch_runner(options)
    scope = SimpleNamespace(batch_run=PLANNED_BATCH_RUN, live_run=None, boundary=0)
    found: Any = SimpleNamespace(scope=scope, live=None, suspects={})
    pipeline = build(config, plain_options(False, options), found, Reread((), 0, 0, 0, 0), "planned")
    return (Sketch("reconcile", pipeline, options, config, (config.definition,)),)


RECONCILE: Final = Launchable("reconcile", run, _sketch, interrupted="nothing was repaired")


def main() -> None:
    """`python -m tandem.pipelines.reconcile`: as `tandem reconcile`, but for a definition's file."""
    entry(RECONCILE)


if __name__ == "__main__":
    main()
