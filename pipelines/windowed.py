"""Windowed results of a definition, without journal or store: `tandem windowed --definition FILE ...`.

Pub/Sub or files in, windows and triggers of Beam, JSON out, on any runner: for those who want no more than that. What
that can't promise is in docs/how-to/windowed-transforms.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
import yaml
from apache_beam.io.gcp.pubsub import ReadFromPubSub
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.transforms.error_handling import ErrorHandler

from tandem.formats.files.pieces import MAX_PIECE_MEMORY, FilePiece
from tandem.formats.files.reading import expand, split
from tandem.pipelines.planning.launch import entry
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import Sketch, plain_options
from tandem.runners.options.config import FlagParser, add_definition_flag, add_memory_flag, beam_options
from tandem.runners.submission.launching import is_local, launch, local_batch_runner, wait
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition, load
from tandem.schemas.errors import LaunchError, UserError
from tandem.schemas.time.durations import format_duration
from tandem.transforms.sinks.topics import TopicWriter
from tandem.transforms.windowed.definitions import BatchesOfFiles, BatchesOfMessages, measures_of
from tandem.transforms.windowed.elements import DEAD
from tandem.transforms.windowed.json_results import PublishLines, WriteBadEvents, WriteLines, result_json
from tandem.transforms.windowed.spelled_windows import MODES, window_into

__all__ = ["WINDOWED", "WindowedConfig", "build", "main", "parse", "run"]

_ABOUT: Final = "Windowed results of a definition from files or Pub/Sub as JSON; no journal, no store."
_BUNDLE_RUNNER: Final = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
"""Beam's only local runner that reads Pub/Sub by itself."""
_PIECE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class WindowedConfig:
    """All that a run is told."""

    definition: Definition
    files: tuple[str, ...]
    subscription: str | None
    """projects/PROJECT/subscriptions/NAME, in place of files."""
    window: object
    """As a definition spells it."""
    early: str | None
    late: str | None
    lateness: str
    mode: str
    output: str | None
    """A folder of JSON Lines."""
    output_topic: TopicWriter | None
    dead_letters: str
    """A folder of JSON Lines."""
    deduplicate: bool
    shards: int
    piece_memory: int = MAX_PIECE_MEMORY

    @property
    def windows(self) -> beam.WindowInto:
        """The windows, with their trigger."""
        return window_into(self.window, self.early, self.late, self.lateness, self.mode)


def parse(arguments: Sequence[str]) -> tuple[WindowedConfig, PipelineOptions]:
    """Tandem's flags as a config, the others as Beam's options. Raises UserError."""
    parser = _parser()
    flags, rest = parser.parse_known_args(list(arguments))
    definition = load(Path(flags.definition))
    compile_definition(definition)
    config = WindowedConfig(
        definition=definition,
        files=tuple(flags.files or ()),
        subscription=flags.subscription,
        window=_window(definition, flags.window),
        early=flags.early,
        late=flags.late,
        lateness=flags.lateness or (format_duration(definition.lateness) if flags.subscription else "0s"),
        mode=flags.mode,
        output=flags.output,
        output_topic=TopicWriter(flags.output_topic) if flags.output_topic else None,
        dead_letters=_dead_letters(flags),
        deduplicate=not flags.no_deduplicate,
        shards=flags.shards,
        piece_memory=flags.max_piece_memory,
    )
    _ = config.windows
    if config.subscription:
        _read_of(config.subscription)
    return config, beam_options(rest)


def _parser() -> FlagParser:
    parser = FlagParser("tandem windowed", _ABOUT)
    add_definition_flag(parser, several=False)
    parser.flag("files", action="append", metavar="GLOB", help="data files; repeatable")
    parser.flag("subscription", help="projects/PROJECT/subscriptions/NAME, instead of files")
    parser.flag(
        "window", required=True, help="1m, {size: 1h, every: 5m}, {session: 30m}, or a name of the definition's"
    )
    parser.flag("early", metavar="T", help="a result T after something new, before the window's end (default: none)")
    parser.flag("late", metavar="T", help="the same after its end (default: at each late event)")
    parser.flag("lateness", metavar="T", help="how late messages may come (default: the definition's)")
    parser.flag("mode", choices=list(MODES), default="accumulating", help="what a later result of a window holds")
    parser.flag("output", metavar="FOLDER", help="folder of JSON Lines, of any file system of Beam")
    parser.flag("output-topic", metavar="TOPIC", help="projects/PROJECT/topics/NAME, instead of a folder")
    parser.flag("dead-letters", metavar="FOLDER", help="what can't be read or computed (default: OUTPUT/dead-letters)")
    parser.flag("no-deduplicate", action="store_true", help="count every copy of an event")
    parser.flag("shards", type=int, default=1, help="parts of the keys that are merged on workers of their own")
    add_memory_flag(parser)
    return parser


def _window(definition: Definition, text: str) -> object:
    if text in definition.windows:
        return definition.windows[text]
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"--window {text!r} is no window; write 1m, or {{size: 1h, every: 5m}}") from None


def _dead_letters(flags: Any) -> str:
    if bool(flags.files) == bool(flags.subscription):
        raise UserError("give either --files or --subscription; see `tandem windowed --help`")
    if bool(flags.output) == bool(flags.output_topic):
        raise UserError("give either --output or --output-topic; see `tandem windowed --help`")
    if not (flags.dead_letters or flags.output):
        raise UserError("--output-topic needs --dead-letters: a folder for what can't be read or computed")
    if flags.shards < 1:
        raise UserError(f"--shards is {flags.shards}; at least 1 is allowed")
    return str(flags.dead_letters or f"{flags.output.rstrip('/')}/dead-letters")


def run(arguments: Sequence[str]) -> None:
    """Run to the end; with a subscription that is when it is stopped. Raises TandemError."""
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
    try:
        return ReadFromPubSub(subscription=subscription, with_attributes=True)
    except ValueError as error:
        message = str(error).rstrip(".")
        wanted = "projects/PROJECT/subscriptions/NAME"
        raise UserError(f"--subscription {subscription}: {message}; write {wanted}") from None


def _sketch(arguments: Sequence[str]) -> tuple[Sketch, ...]:
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
