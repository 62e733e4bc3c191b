"""OpenTelemetry's spans of segments' messages, exported only where an endpoint is named.

A segment's trace follows from its lane and number: no context is passed from worker to worker, and later replays belong
to the same trace. A step of several segments is a span of the first one's trace, with links to the others. Without an
endpoint nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tandem.schemas.errors import LaunchError, UserError

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.trace import SpanContext

__all__ = ["ENDPOINT", "Segment", "note", "note_segment", "start_tracing", "trace_to", "tracing"]

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""The environment's variable for the endpoint, as in every program with OpenTelemetry; worker processes inherit it."""
_LOG: Final = logging.getLogger(__name__)
_MOST_LINKS: Final = 64


class Segment(NamedTuple):
    """A segment of the journal."""

    lane: str
    """RUN/LANE."""
    number: int


Attributes = Mapping[str, "str | int | float | bool"]


def tracing() -> bool:
    """Whether spans are exported; cheap where they aren't."""
    return bool(os.environ.get(ENDPOINT))


def trace_to(endpoint: str | None) -> None:
    """Export spans of this process, and of those that it starts, to an OTLP endpoint; None: the environment's.

    Raises UserError for an address other than http, LaunchError where OpenTelemetry isn't installed.
    """
    if endpoint is not None:
        os.environ[ENDPOINT] = endpoint
    if not tracing():
        return
    if not os.environ[ENDPOINT].startswith(("http://", "https://")):
        raise UserError(
            f"--otlp-endpoint (or {ENDPOINT}): an address of OTLP over HTTP begins with http:// or https://"
        )
    try:
        start_tracing()
    except ModuleNotFoundError as error:
        raise LaunchError(f"{error.name} isn't installed", "pip install 'tandem-beam[otel]'") from error


class _Sender(NamedTuple):
    """The exporter of spans: in batches, from a thread of its own."""

    processor: BatchSpanProcessor
    resource: Resource
    ids: IdGenerator


@cache
def start_tracing() -> _Sender:
    """Start exporting; spans that are left are exported when the process ends."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "tandem"}
    sender = _Sender(BatchSpanProcessor(OTLPSpanExporter()), Resource.create(named), RandomIdGenerator())
    atexit.register(sender.processor.shutdown)
    return sender


@cache
def _sender() -> _Sender | None:
    """The exporter, None where OpenTelemetry isn't installed on a worker: its spans are missing, and nothing else."""
    try:
        return start_tracing()
    except ModuleNotFoundError as error:
        _LOG.warning("no spans are sent: %s isn't installed (tandem-beam[otel])", error.name)
        return None


def note_segment(segment: Segment, began: int, ended: int, attributes: Attributes) -> None:
    """Record the root span of a segment's trace; times in nanoseconds of the wall clock."""
    _span("segment", None, (), began, ended, {**_place(segment), **attributes}, _ids(segment))


def note(
    name: str,
    segments: Sequence[Segment],
    began: int,
    ended: int,
    attributes: Attributes | None = None,
    error: str | None = None,
) -> None:
    """Record the span of one step of some segments; without any it is a trace of its own."""
    known = list(dict.fromkeys(segments))
    about = {**(_place(known[0]) if known else {}), "tandem.segments": len(known), **(attributes or {})}
    _span(name, known[0] if known else None, known[1:_MOST_LINKS], began, ended, about, None, error)


def _span(
    name: str,
    parent: Segment | None,
    linked: Sequence[Segment],
    began: int,
    ended: int,
    attributes: Attributes,
    ids: tuple[int, int] | None,
    error: str | None = None,
) -> None:
    sender = _sender()
    if sender is None:
        return
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Link, Status, StatusCode

    trace = _ids(parent)[0] if parent is not None else sender.ids.generate_trace_id()
    span = ReadableSpan(
        name=f"tandem.{name}",
        context=_context(ids or (trace, sender.ids.generate_span_id())),
        parent=_context(_ids(parent)) if parent is not None else None,
        resource=sender.resource,
        attributes=dict(attributes),
        links=[Link(_context(_ids(each)), _place(each)) for each in linked],
        status=Status(StatusCode.UNSET if error is None else StatusCode.ERROR, error),
        start_time=began,
        end_time=ended,
    )
    sender.processor.on_end(span)


def _ids(segment: Segment) -> tuple[int, int]:
    """(trace id, span id) of a segment's root span."""
    digest = hashlib.blake2b(f"{segment.lane}/{segment.number}".encode(), digest_size=24).digest()
    return int.from_bytes(digest[:16], "big") or 1, int.from_bytes(digest[16:], "big") or 1


def _context(ids: tuple[int, int]) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(ids[0], ids[1], is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _place(segment: Segment) -> dict[str, Any]:
    return {"tandem.lane": segment.lane, "tandem.segment": segment.number}
