"""Every error that Tandem raises on purpose.

::

    TandemError                  one line for the user; the command line ends with `exit_code`
    |-- UserError                wrong input of the user: a flag, a file, a folder (exit code 2)
    |   |-- DefinitionError      a definition that can't be run: names file, line, field
    |   |-- SchemaError          an Avro schema, or a file whose columns don't fit it
    |   |-- SourceFileError      a data file that is missing, cut short or of another format
    |   |-- PlaceError           a bucket that isn't there, or that may not be read or written
    |   `-- LaunchError          what the chosen runner or machine can't do
    |-- JournalError             the journal holds something that it must not hold
    |   |-- SegmentError         a damaged, truncated or foreign segment: refused whole
    |   |-- FencedError          another writer has taken this lane over (exit code 75)
    |   `-- WriterAliveError     another run writes this journal and its heartbeat is fresh
    |-- StoreError               the view store can't be read or written
    |   |-- StoreAddressError    the address names no view store that there can be (exit code 2)
    |   |-- NoStoreError         nothing is there (exit code 2)
    |   |-- DamagedStoreError    what is stored isn't what was written
    |   |-- RunDroppedError      the run that writes was dropped: it must end
    |   `-- PublishRefusedError  publishing or rolling back would break a guarantee
    |       |-- MissingFilesError    another version hasn't read every file that is served
    |       |-- UnreadMessagesError  another version can't read messages that the served one reads
    |       |-- BatchOutdatedError   live went on since the batch run was built: build it anew
    |       `-- BehindError          the live run doesn't have yet all that is served: wait
    |-- SpillError               what a backfill wrote for itself isn't as it was written
    |-- TooManyBadError          too much of what a backfill read is bad: nothing is published
    |-- DeliveryError            an output takes no results now: they wait
    |-- StaleAttemptError        another attempt wrote more while this one caught up: to be tried again
    `-- ParityError              two computations of the same answer differ
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "BatchOutdatedError",
    "BehindError",
    "DamagedStoreError",
    "DefinitionError",
    "DeliveryError",
    "FencedError",
    "JournalError",
    "LaunchError",
    "MissingFilesError",
    "NoStoreError",
    "ParityError",
    "PlaceError",
    "PublishRefusedError",
    "RunDroppedError",
    "SchemaError",
    "SegmentError",
    "SourceFileError",
    "SpillError",
    "StaleAttemptError",
    "StoreAddressError",
    "StoreError",
    "TandemError",
    "TooManyBadError",
    "UnreadMessagesError",
    "UserError",
    "WriterAliveError",
]


class TandemError(Exception):
    """Base of all; `str(error)` is one line that a user can act on.

    >>> UserError("--at: no time").exit_code, FencedError("lane 0 has another writer").exit_code
    (2, 75)
    """

    exit_code: ClassVar[int] = 1


class UserError(TandemError):
    """Wrong input of the user."""

    exit_code: ClassVar[int] = 2


class DefinitionError(UserError):
    """A definition that can't be run.

    `str(error)` is `FILE:LINE: FIELD: what was found; what is allowed`. Each part that isn't known is left out.

    >>> str(DefinitionError("1 minute is no duration", field="tile", file="clicks.yaml", line=3))
    'clicks.yaml:3: tile: 1 minute is no duration'
    """

    def __init__(
        self, message: str, *, field: str | None = None, file: str | None = None, line: int | None = None
    ) -> None:
        self.message, self.field, self.file, self.line = message, field, file, line
        where = file or ""
        if line is not None:
            where += f":{line}" if where else f"line {line}"
        super().__init__(": ".join(part for part in (where, field, message) if part))


class SchemaError(UserError):
    """An Avro schema that Tandem can't read with, or data whose columns don't fit the schema."""


class SourceFileError(UserError):
    """A data file that is missing, empty, cut short, changed since it was read, or of another format."""


class PlaceError(UserError):
    """A bucket that isn't there, or that may not be read or written; no credential is in the message."""


class LaunchError(UserError):
    """The chosen runner, or this machine, can't do what was asked; the message says what to do.

    `remedy` is what to do alone, where it was given apart; it ends the message.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}; {remedy}" if remedy else what)
        self.what, self.remedy = what, remedy


class JournalError(TandemError):
    """The journal holds something that it must not hold."""


class SegmentError(JournalError):
    """A damaged, truncated or foreign segment. The message names it; nothing of it was used."""


class FencedError(JournalError):
    """Another writer has taken this lane over: stop, don't acknowledge."""

    exit_code: ClassVar[int] = 75


class WriterAliveError(JournalError):
    """Another run writes this journal and its heartbeat is fresh."""

    exit_code: ClassVar[int] = 2


class StoreError(TandemError):
    """The view store can't be read or written."""


class StoreAddressError(StoreError):
    """What was given as the address of a view store isn't one; no password is in the message."""

    exit_code: ClassVar[int] = UserError.exit_code


class NoStoreError(StoreError):
    """There is no view store where one was to be read."""

    exit_code: ClassVar[int] = UserError.exit_code


class DamagedStoreError(StoreError):
    """What is stored isn't what was written; the message names the place, and the remedy. Nothing of it was used."""


class PublishRefusedError(StoreError):
    """Publishing or rolling back now would break a guarantee; the message says which and by how much."""


class BatchOutdatedError(PublishRefusedError):
    """The live run counted, or is another one, since the batch run was built for it: another batch run fits."""


class BehindError(PublishRefusedError):
    """The live run doesn't hold yet all that is served; it may in a moment, if it is running."""


class MissingFilesError(PublishRefusedError):
    """Another version of the definition hasn't read every file that the served one has."""


class UnreadMessagesError(PublishRefusedError):
    """Another version of the definition can't read messages that the served one reads.

    `version` is that one's, `letters` are by position the rows that are dead letters of it alone.
    """

    def __init__(self, message: str, version: str, letters: Mapping[str, frozenset[int]]) -> None:
        super().__init__(message)
        self.version, self.letters = version, letters


class RunDroppedError(StoreError):
    """The run that writes was dropped from the view store; trying again won't help."""


class SpillError(TandemError):
    """A file in which events of a backfill wait for their tile isn't as it was written. Nothing of it was used."""


class TooManyBadError(TandemError):
    """More of what a backfill read is bad than it may be: nothing of it is published."""


class DeliveryError(TandemError):
    """An output takes no results now, whatever they are: they wait in the outbox and are tried again."""

    def __init__(self, message: str = "", *, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after
        """Seconds that the receiver asks to be left alone for."""


class StaleAttemptError(TandemError):
    """Another attempt of the same run wrote more while this one caught up; trying the bundle again sees that."""


class ParityError(TandemError):
    """Two computations of the same answer differ."""
