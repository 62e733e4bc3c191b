"""Flags about input, computation and output."""

from __future__ import annotations

from typing import Final

from tandem.runners.options.flags.flag import Flag, Group
from tandem.runners.options.values import DURATION, WHOLE, piece_memory
from tandem.schemas.pubsub_names import PART, subscription_name, topic_name
from tandem.schemas.time.instants import instant_of

__all__ = ["DATA_FLAGS"]

_READ_FILES: Final = ("backfill", "publish", "reconcile", "windowed")
_SUBSCRIPTION: Final = f"projects/{PART}/subscriptions/{PART}"
_TOPIC: Final = f"projects/{PART}/topics/{PART}"

DATA_FLAGS: Final[tuple[Flag, ...]] = (
    Flag(
        "definition",
        ("live", "backfill"),
        Group.WHAT,
        "a definition; repeatable",
        metavar="FILE",
        repeatable=True,
        required=True,
    ),
    Flag(
        "definition",
        ("publish", "reconcile", "windowed", "backtest"),
        Group.WHAT,
        "the definition (YAML)",
        metavar="FILE",
        required=True,
    ),
    Flag(
        "window",
        ("windowed",),
        Group.WHAT,
        "1m, {size: 1h, every: 5m}, {session: 30m}, or a name of the definition's",
        metavar="WINDOW",
        required=True,
    ),
    Flag(
        "early",
        ("windowed",),
        Group.WHAT,
        "a result T after something new, before the window's end",
        metavar="T",
        otherwise="none",
        pattern=DURATION,
    ),
    Flag(
        "late",
        ("windowed",),
        Group.WHAT,
        "the same after its end",
        metavar="T",
        otherwise="at each late event",
        pattern=DURATION,
    ),
    Flag(
        "lateness",
        ("windowed",),
        Group.WHAT,
        "how late messages may come",
        metavar="T",
        otherwise="the definition's; of files none",
        pattern=DURATION,
    ),
    Flag(
        "mode",
        ("windowed",),
        Group.WHAT,
        "what a later result of a window holds",
        metavar="MODE",
        default="accumulating",
        choices=("accumulating", "discarding"),
    ),
    Flag("no-deduplicate", ("windowed",), Group.WHAT, "count every copy of an event"),
    Flag("dry-run", ("reconcile",), Group.WHAT, "say what would be done, and write nothing"),
    Flag("deep", ("reconcile",), Group.WHAT, "compute every tile again, from all segments and files"),
    Flag(
        "subscription",
        ("live",),
        Group.INPUT,
        "projects/PROJECT/subscriptions/NAME",
        metavar="NAME",
        otherwise="required, or --follow",
        read=subscription_name,
        pattern=_SUBSCRIPTION,
    ),
    Flag("follow", ("live",), Group.INPUT, "tail the journal of another run; pulls nothing, writes no journal"),
    Flag(
        "source",
        ("live",),
        Group.INPUT,
        "native: Beam's own read, on Dataflow",
        metavar="SOURCE",
        default="journal",
        choices=("journal", "native"),
    ),
    Flag(
        "id-label",
        ("live",),
        Group.INPUT,
        "attribute by which Dataflow removes redeliveries; of --source native",
        metavar="ATTRIBUTE",
        otherwise="none",
    ),
    Flag(
        "files", ("backfill",), Group.INPUT, "data files; repeatable", metavar="GLOB", otherwise="none", repeatable=True
    ),
    Flag("files", ("publish",), Group.INPUT, "data files; repeatable", metavar="GLOB", repeatable=True, required=True),
    Flag(
        "files",
        ("windowed",),
        Group.INPUT,
        "data files; repeatable",
        metavar="GLOB",
        otherwise="required, or --subscription",
        repeatable=True,
    ),
    Flag(
        "subscription",
        ("windowed",),
        Group.INPUT,
        "projects/PROJECT/subscriptions/NAME, instead of files",
        metavar="NAME",
        otherwise="none",
        read=subscription_name,
        pattern=_SUBSCRIPTION,
    ),
    Flag("copies", ("backfill",), Group.INPUT, "also read files whose content was read under another name"),
    Flag(
        "max-piece-memory",
        _READ_FILES,
        Group.INPUT,
        "memory that reading one piece of a file may take; a file that takes more is refused",
        metavar="SIZE",
        read=piece_memory,
        default="512MiB",
        pattern=r"[0-9.]+ ?[kKmMgGtT]?i?[bB]?",
    ),
    Flag(
        "complete-until",
        ("backfill",),
        Group.INPUT,
        "the files hold every event before this time",
        metavar="TIME",
        read=instant_of,
        otherwise="the time of their newest event",
    ),
    Flag(
        "upto",
        ("backfill",),
        Group.INPUT,
        "last generation of the journal to take in",
        metavar="N",
        read=int,
        otherwise="the last sealed one",
        pattern=WHOLE,
    ),
    Flag(
        "order-by", ("publish",), Group.INPUT, "field to order and pace by", metavar="FIELD", otherwise="the event time"
    ),
    Flag("skip-bad", ("publish",), Group.INPUT, "leave records out that can't be read, instead of refusing"),
    Flag(
        "topic",
        ("publish",),
        Group.OUTPUT,
        "projects/PROJECT/topics/NAME",
        metavar="NAME",
        required=True,
        read=topic_name,
        pattern=_TOPIC,
    ),
    Flag(
        "output",
        ("windowed",),
        Group.OUTPUT,
        "folder of JSON Lines, of any file system of Beam",
        metavar="FOLDER",
        otherwise="required, or --output-topic",
    ),
    Flag(
        "output-topic",
        ("windowed",),
        Group.OUTPUT,
        "projects/PROJECT/topics/NAME, instead of a folder",
        metavar="TOPIC",
        otherwise="none",
        read=topic_name,
        pattern=_TOPIC,
    ),
    Flag(
        "dead-letters",
        ("windowed",),
        Group.OUTPUT,
        "what can't be read or computed",
        metavar="FOLDER",
        otherwise="OUTPUT/dead-letters",
    ),
    Flag(
        "dead-letter-topic",
        ("live",),
        Group.OUTPUT,
        "projects/PROJECT/topics/NAME; gets what can't be decoded; of --source native",
        metavar="TOPIC",
        otherwise="none",
        read=topic_name,
        pattern=_TOPIC,
    ),
)
