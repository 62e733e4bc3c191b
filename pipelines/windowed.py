"""Windowed results of a definition, without journal or store: `tandem windowed --definition FILE ...`.

Pub/Sub or files in, windows and triggers of Beam, JSON out, on any runner: for users who need no more than that. Its
limits are in docs/how-to/windowed-transforms.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
from apache_beam.io.gcp.pubsub import ReadFromPubSub
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.transforms.error_handling import ErrorHandler

from tandem.formats.files.pieces import MAX_PIECE_MEMORY, FilePiece
from tandem.formats.files.reading import expand, split
from tandem.pipelines.planning.launch import entry
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import Sketch, plain_options
from tandem.runners.options.beam import beam_options
from tandem.runners.options.reading import Arguments
from tandem.runners.submission.launching import is_local, launch, local_batch_runner, wait
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition, load
from tandem.schemas.definition.yaml_lines import read
from tandem.schemas.errors import DefinitionError, LaunchError, UserError
from tandem.schemas.time.durations import format_duration
from tandem.transforms.sinks.topics import TopicWriter
from tandem.transforms.windowed.definitions import BatchesOfFiles, BatchesOfMessages, measures_of
from tandem.transforms.windowed.events.elements import DEAD
from tandem.transforms.windowed.rows.json_results import PublishLines, WriteBadEvents, WriteLines, result_json
from tandem.transforms.windowed.windows.spelled_windows import window_into

__all__ = ["WINDOWED", "WindowedConfig", "build", "main", "parse", "run"]

_BUNDLE_RUNNER: Final = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
"""Beam's only local runner that reads Pub/Sub itself."""
_PIECE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class WindowedConfig:
    """Configuration of a windowed run."""

    definition: Definition
    files: tuple[str, ...]
    subscription: str | None
    """projects/PROJECT/subscriptions/NAME, in place of files."""
    window: object
    """The window in a definition's form."""
    early: str | None
    late: str | None
    lateness: str
    mode: str
    output: str | None
    """A folder for results as JSON Lines."""
    output_topic: TopicWriter | None
    dead_letters: str
    """A folder for dead letters as JSON Lines."""
    deduplicate: bool
    shards: int
    piece_memory: int = MAX_PIECE_MEMORY

    @property
    def windows(self) -> beam.WindowInto:
        """The windows, with their trigger."""
        return window_into(self.window, self.early, self.late, self.lateness, self.mode)


def parse(arguments: Arguments) -> tuple[WindowedConfig, PipelineOptions]:
    """A config, and Beam's options. Raises UserError."""
    arguments.check_required()
    definition, subscription = load(Path(arguments["definition"])), arguments["subscription"]
    compile_definition(definition)
    topic = arguments["output_topic"]
    config = WindowedConfig(
        definition=definition,
        files=tuple(arguments["files"]),
        subscription=subscription,
        window=_window(definition, arguments["window"]),
        early=arguments["early"],
        late=arguments["late"],
        lateness=arguments["lateness"] or (format_duration(definition.lateness) if subscription else "0s"),
        mode=arguments["mode"],
        output=arguments["output"],
        output_topic=TopicWriter(topic) if topic else None,
        dead_letters=_dead_letters(arguments),
        deduplicate=not arguments["no_deduplicate"],
        shards=arguments["shards"],
        piece_memory=arguments["max_piece_memory"],
    )
    _ = config.windows
    return config, beam_options(arguments)


def _window(definition: Definition, text: str) -> object:
    if text in definition.windows:
        return definition.windows[text]
    try:
        return read(f"window: {text}").value["window"]
    except DefinitionError:
        raise UserError(f"--window {text!r} is no window; write 1m, or {{size: 1h, every: 5m}}") from None


def _dead_letters(arguments: Arguments) -> str:
    output, letters, shards = arguments["output"], arguments["dead_letters"], arguments["shards"]
    if bool(arguments["files"]) == bool(arguments["subscription"]):
        raise UserError("give either --files or --subscription; see `tandem windowed --help`")
    if bool(output) == bool(arguments["output_topic"]):
        raise UserError("give either --output or --output-topic; see `tandem windowed --help`")
    if not (letters or output):
        raise UserError("--output-topic needs --dead-letters: a folder for what can't be read or computed")
    if shards < 1:
        raise UserError(f"--shards is {shards}; at least 1 is allowed")
    return str(letters or f"{output.rstrip('/')}/dead-letters")


def run(arguments: Arguments) -> None:
    """Run to the end; with a subscription until it is stopped. Raises TandemError."""
    config, options = parse(arguments)
    pieces: list[FilePiece] = []
    if config.subscription:
        _native_runner(options)
    else:
        source = config.definition.source
        refs = expand(config.files, config.piece_memory)
        pieces = [piece for ref in refs for piece in split(ref, _PIECE_BYTES, source)]
        local_batch_runner(options)
    wait(launch(build(config, options, pieces)))


def _native_runner(options: PipelineOptions) -> None:
    standard = options.view_as(StandardOptions)
    standard.streaming = True
    name = (standard.runner or "").rpartition(".")[2]
    if is_local(options):
        standard.runner = _BUNDLE_RUNNER
    elif name not in ("DataflowRunner", "BundleBasedDirectRunner"):
        raise LaunchError(
            f"--subscription: {name} can't read Pub/Sub by itself, only the DirectRunner and Dataflow can; "
            "give files, or run `tandem live`, which reads it through the journal"
        )


def build(config: WindowedConfig, options: PipelineOptions, pieces: Sequence[FilePiece]) -> beam.Pipeline:
    """The pipeline's graph."""
    pipeline = beam.Pipeline(options=options)
    with ErrorHandler("DeadLetters" >> WriteBadEvents(config.dead_letters)) as handler:
        read = _read(pipeline, config, pieces)
        handler.add_error_pcollection(read[DEAD])
        measures = measures_of(config.definition, config.windows, config.deduplicate, config.shards, handler)
        results = read.batches | "Measures" >> measures
    name, keys = config.definition.name, tuple(config.definition.key)
    lines = results | "Json" >> beam.Map(result_json, name, keys).with_output_types(bytes)
    _ = lines | "Results" >> (WriteLines(config.output) if config.output else PublishLines(config.output_topic))
    return pipeline


def _read(pipeline: beam.Pipeline, config: WindowedConfig, pieces: Sequence[FilePiece]) -> Any:
    if config.subscription is None:
        return pipeline | "Input" >> BatchesOfFiles(config.definition, pieces)
    messages = pipeline | "Messages" >> _read_of(config.subscription)
    return messages | "Events" >> BatchesOfMessages(config.definition, f"windowed-{secrets.token_hex(4)}")


def _read_of(subscription: str) -> ReadFromPubSub:
    return ReadFromPubSub(subscription=subscription, with_attributes=True)


def _sketch(arguments: Arguments) -> tuple[Sketch, ...]:
    config, options = parse(arguments)
    if config.subscription is None:
        local_batch_runner(options)
    pipeline = build(config, plain_options(config.subscription is not None, options), [])
    return (Sketch("windowed", pipeline, options, config, (config.definition,)),)


WINDOWED: Final = Launchable("windowed", run, _sketch, interrupted="results may have been written")


def main() -> None:
    """`python -m tandem.pipelines.windowed` is `tandem windowed`."""
    entry(WINDOWED)


if __name__ == "__main__":
    main()
