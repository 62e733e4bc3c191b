"""Publishes files to Pub/Sub, in order of a column, at N times real speed or flat out.

`python -m tandem.pipelines.publish ...` is `tandem publish`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.formats.files.pieces import MAX_PIECE_MEMORY
from tandem.formats.files.reading import expand, read_piece, split
from tandem.formats.writing import encode_messages
from tandem.pipelines.console.printing import progress
from tandem.pipelines.planning.launch import entry
from tandem.pipelines.planning.launchable import Launchable
from tandem.pipelines.planning.sketch import Sketch, plain_options
from tandem.runners.options.beam import beam_options
from tandem.runners.options.definition_places import definition_at
from tandem.runners.options.reading import Arguments
from tandem.runners.submission.launching import launch, local_batch_runner, wait
from tandem.schemas.avro.types import arrow_schema
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import SourceFileError, UserError
from tandem.transforms.sinks.pubsub import PublishMessages
from tandem.transforms.sinks.topics import TopicWriter

__all__ = ["PUBLISH", "PublishConfig", "build", "main", "parse", "read_messages", "run"]


@dataclass(frozen=True, slots=True)
class PublishConfig:
    """Configuration of the publisher."""

    definition: Definition
    files: tuple[str, ...]
    topic: TopicWriter
    order_by: str
    speed: float | None
    """Seconds of the column per second of the clock; None: flat out."""
    skip_bad: bool
    piece_memory: int = MAX_PIECE_MEMORY
    """Most bytes of memory for reading one piece of a file."""


def parse(arguments: Arguments) -> tuple[PublishConfig, PipelineOptions]:
    """A config, and Beam's options. Raises UserError."""
    arguments.check_required()
    definition, speed = definition_at(arguments["definition"]), arguments["speed"]
    if speed is not None and not 0 < speed < 1e12:
        raise UserError(f"--speed is {speed}; a number above 0 is wanted")
    order_by = arguments["order_by"] or definition.source.event_time
    fields = arrow_schema(definition.source.fields_schema)
    if order_by not in fields.names:
        raise UserError(f"--order-by {order_by}: the source has no such field; it has {', '.join(fields.names)}")
    if speed is not None and not pa.types.is_timestamp(fields.field(order_by).type):
        raise UserError(f"--speed needs --order-by a timestamp; {order_by} is {fields.field(order_by).type}")
    topic = TopicWriter(arguments["topic"])
    config = PublishConfig(
        definition,
        tuple(arguments["files"]),
        topic,
        order_by,
        speed,
        arguments["skip_bad"],
        arguments["max_piece_memory"],
    )
    return config, beam_options(arguments)


def run(arguments: Arguments) -> None:
    """Publish and wait for the end. Raises TandemError."""
    config, options = parse(arguments)
    console = progress()
    payloads, times = read_messages(config)
    local_batch_runner(options)
    begun = time.monotonic()
    with console.status(f"publishing {len(payloads):,} messages to {config.topic.topic}"):
        wait(launch(build(config, options, payloads, times)))
    seconds = time.monotonic() - begun
    console.print(f"published {len(payloads):,} messages to {config.topic.topic} in {seconds:.1f} s")


def read_messages(config: PublishConfig) -> tuple[list[bytes], list[int]]:
    """(payloads, values of the ordering field), in order; equal values keep the order of the files."""
    fields = tuple(arrow_schema(config.definition.source.fields_schema).names)
    tables, bad = [], 0
    for ref in expand(config.files, config.piece_memory):
        for piece in split(ref, 64 << 20, config.definition.source):
            for decoded in read_piece(config.definition.source, fields, piece, time.time_ns() // 1000):
                tables.append(decoded.events)
                bad += len(decoded.dead)
                if decoded.dead and not config.skip_bad:
                    letter = decoded.dead[0]
                    raise SourceFileError(f"{piece.position(letter.row)}: {letter.reason}; --skip-bad leaves it out")
    table = pa.Table.from_batches(tables)
    column = table.column(config.order_by)
    if column.null_count:
        raise UserError(f"--order-by {config.order_by}: {column.null_count} records have no value there")
    order = pc.sort_indices(table.select([config.order_by]), sort_keys=[(config.order_by, "ascending")])
    table = table.take(order)
    times = table.column(config.order_by).cast(pa.int64()).to_pylist() if config.speed is not None else []
    return encode_messages(config.definition.source, table), times


def build(config: PublishConfig, options: PipelineOptions, payloads: list[bytes], times: list[int]) -> beam.Pipeline:
    """The pipeline's graph: one element, since Beam keeps order only within an element."""
    pipeline = beam.Pipeline(options=options)
    _ = (
        pipeline
        | "Messages" >> beam.Create([(payloads, times)]).with_output_types(tuple[list[bytes], list[int]])
        | "Topic" >> PublishMessages(config.topic, config.speed)
    )
    return pipeline


def _sketch(arguments: Arguments) -> tuple[Sketch, ...]:
    config, options = parse(arguments)
    local_batch_runner(options)
    pipeline = build(config, plain_options(False, options), [], [])
    return (Sketch("publish", pipeline, options, config, (config.definition,)),)


PUBLISH: Final = Launchable("publish", run, _sketch, interrupted="messages may have been published")


def main() -> None:
    """`python -m tandem.pipelines.publish` is `tandem publish`."""
    entry(PUBLISH)


if __name__ == "__main__":
    main()
