"""The bounded pipeline: files and sealed generations into a batch view. `python -m pipelines.backfill ...`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from tenacity import Retrying, retry_if_exception_type, retry_if_not_exception_type, stop_after_delay, wait_fixed

from pipelines.backfill_plan import BackfillConfig, Plan, plan, work_items
from pipelines.config import (
    FlagParser,
    add_definition_flag,
    add_home_flags,
    beam_options,
    definition_text,
    duration,
    home_from,
    make_folder,
)
from pipelines.launching import entry, launch, local_batch_runner, wait
from schemas.compiled import compile_definition
from schemas.definition import load
from schemas.errors import BatchOutdatedError, MissingFilesError, PublishRefusedError, UserError
from transforms.aggregate import AggregateTiles, BatchRunRef
from transforms.backfill_work import ReadWork, Work
from transforms.batch_counts import CountCounted, CountReceived, FinishBatchRun
from transforms.sinks import WriteBatchStates, WriteDeadLetters
from transforms.tiles import DEAD, TALLIES, LetterSource, RouteToTiles
from views.opening import open_store
from views.rows import Publication
from views.store import ViewStore

__all__ = ["build", "main", "parse", "run"]

_BUILDS: Final = 4
"""How often a batch run is built anew because live went on meanwhile, and counted copies of what it counts."""


def parse(arguments: Sequence[str]) -> tuple[BackfillConfig, PipelineOptions]:
    """Tandem's flags as a config, the others as Beam's options. Raises UserError."""
    parser = FlagParser("tandem backfill", "Run a definition over files and sealed generations of the journal.")
    add_definition_flag(parser, several=False)
    add_home_flags(parser)
    parser.flag("files", action="append", default=[], metavar="GLOB", help="data files; repeatable")
    parser.flag("upto", type=int, help="last generation of the journal to take in (default: the last sealed one)")
    parser.flag("no-publish", action="store_true", help="build the batch run, but serve it later")
    parser.flag("publish-wait", type=duration, default="60s", help="how long to wait for live to catch up")
    parser.flag("promote", action="store_true", help="serve this version although another is being served")
    parser.flag("accept-missing-files", action="store_true", help="promote without all files that are being served")
    flags, rest = parser.parse_known_args(list(arguments))
    config = BackfillConfig(
        definition=load(Path(flags.definition)),
        definition_text=definition_text(flags.definition),
        files=tuple(flags.files),
        home=home_from(flags),
        upto=flags.upto,
        publish=not flags.no_publish,
        publish_wait=flags.publish_wait,
        promote=flags.promote,
        accept_missing_files=flags.accept_missing_files,
    )
    return config, beam_options(rest)


def run(arguments: Sequence[str]) -> None:
    """Build a batch run and publish it. Raises TandemError."""
    config, options = parse(arguments)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    compile_definition(config.definition)
    if config.home.store.startswith("sqlite:///"):
        make_folder(Path(config.home.store.removeprefix("sqlite:///")).parent)
    store = open_store(config.home.store)
    _check_version(store, config)
    store.register(compile_definition(config.definition), config.definition_text)
    for builds_left in reversed(range(_BUILDS)):
        work = plan(config, store)
        if not work.generations:
            console.print(f"{config.definition.name}: nothing new; boundary {work.boundary} stays")
            return
        _build_batch_run(config, options, work, store, console)
        if not config.publish:
            return
        try:
            published = _publish(config, store, work)
        except BatchOutdatedError as outdated:
            if not builds_left:
                raise
            console.print(f"{outdated}: doing so")
        else:
            console.print(f"{config.definition.name}: published, boundary {published.boundary}")
            return


def _build_batch_run(
    config: BackfillConfig, options: PipelineOptions, work: Plan, store: ViewStore, console: Console
) -> None:
    local_batch_runner(options)
    begun = time.monotonic()
    with console.status(f"{config.definition.name}: {len(work.files)} files, {len(work.segments)} segments"):
        wait(launch(build(config, options, work, store)))
    manifest = store.manifest(work.batch_run)
    received = sum(counts.received for counts in manifest.counts)
    dead = sum(counts.dead for counts in manifest.counts)
    seconds = time.monotonic() - begun
    console.print(
        f"{config.definition.name}: batch run {work.batch_run} took in {received:,} events of "
        f"{len(work.files)} files and {len(work.segments)} segments in {seconds:.1f} s, {dead:,} dead letters"
    )


def build(config: BackfillConfig, options: PipelineOptions, work: Plan, store: ViewStore) -> beam.Pipeline:
    """The pipeline's graph; the batch run is begun in the store."""
    definition, url = config.definition, config.home.store
    parent = work.parent.id if work.parent else None
    store.start_batch_run(
        definition.version,
        work.batch_run,
        boundary=work.boundary,
        parent=parent,
        file_sets=work.file_sets,
        built_for=work.live_run,
    )
    batch_run = BatchRunRef(url, work.batch_run, parent, work.live_run, work.boundary)
    pipeline = beam.Pipeline(options=options)
    items = pipeline | "Work" >> beam.Create(list(work_items(work))).with_output_types(Work)
    letters = LetterSource(url, work.parent.boundary if work.parent else 0, parent)
    route = RouteToTiles(definition, letters=letters)
    routed = items | "Input" >> ReadWork(definition, config.home.journal) | "Route" >> route
    _ = routed[DEAD] | "DeadLetters" >> WriteDeadLetters(definition, config.home.dead_letters, url, work.batch_run)
    updates = (
        routed.parts
        | "Aggregate" >> AggregateTiles(definition, batch_run)
        | "States" >> WriteBatchStates(definition, url, work.batch_run)
    )
    counts = (routed[TALLIES] | "Received" >> CountReceived(definition, url), updates | "Counted" >> CountCounted())
    finish = FinishBatchRun(definition, url, work.batch_run, work.generations, work.manifest_files)
    _ = counts | "Counts" >> beam.Flatten() | "Finish" >> finish
    return pipeline


def _check_version(store: ViewStore, config: BackfillConfig) -> None:
    served = store.served(config.definition.name)
    if served is None or served.version == config.definition.version or config.promote or not config.publish:
        return
    raise UserError(
        f"{config.definition.name} is served in version {served.version}, and this definition is version "
        f"{config.definition.version}; --promote builds and serves it, --no-publish only builds it"
    )


def _publish(config: BackfillConfig, store: ViewStore, work: Plan) -> Publication:
    """Publish with the live run that is served by then, waiting for it to bring in what is on its way.

    The store refuses a live run that the batch run can't stand beside, whichever run it was built for. Raises
    BatchOutdatedError or MissingFilesError at once, where waiting can't help.
    """
    final = retry_if_not_exception_type((BatchOutdatedError, MissingFilesError))
    refused = retry_if_exception_type(PublishRefusedError) & final
    retrying = Retrying(
        retry=refused,
        wait=wait_fixed(0.5),
        stop=stop_after_delay(config.publish_wait / 1e6),
        reraise=True,
    )
    name, version = config.definition.name, config.definition.version

    def attempt() -> Publication:
        served = store.served(name)
        live_run = served.live_run if served is not None and served.version == version else work.live_run
        accept = config.accept_missing_files
        return store.publish(name, version, work.batch_run, live_run, accept_missing_files=accept)

    return retrying(attempt)


def main() -> None:
    """`python -m pipelines.backfill`."""
    entry(run)


if __name__ == "__main__":
    main()
