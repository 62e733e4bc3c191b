"""Every error that Tandem raises on purpose.

::

    TandemError                  one line for the user; the command line ends with `exit_code`
    |-- UserError                wrong input of the user: a flag, a file, a folder (exit code 2)
    |   |-- DefinitionError      a definition that can't be run: names file, line, field
    |   |-- SchemaError          an Avro schema, or data whose columns don't fit it
    |   |-- SourceFileError      a data file that is missing, cut short or of another format
    |   |-- PlaceError           a bucket that doesn't exist, or that may not be read or written
    |   `-- LaunchError          the chosen runner, or this machine, can't do it
    |-- JournalError             the journal holds something invalid
    |   |-- SegmentError         a damaged, truncated or foreign segment: refused whole
    |   |-- FencedError          another writer has taken over this lane (exit code 75)
    |   `-- WriterAliveError     another run writes this journal and its heartbeat is fresh (exit code 2)
    |-- StoreError               the view store can't be read or written
    |   |-- StoreAddressError    the address doesn't name a view store (exit code 2)
    |   |-- NoStoreError         there is no view store at the address (exit code 2)
    |   |-- DamagedStoreError    stored data differ from what was written
    |   |-- RunDroppedError      the run that writes was dropped: retrying won't help
    |   `-- PublishRefusedError  publishing or rolling back would break a guarantee
    |       |-- MissingFilesError    another version hasn't read every file that is served
    |       |-- UnreadMessagesError  another version can't read messages that the served one reads
    |       |-- BatchOutdatedError   live has counted since the batch run was built: build another
    |       `-- BehindError          the live run doesn't hold everything yet that is served
    |-- SpillError               a file that a backfill spilled differs from what was written
    |-- TooManyBadError          a backfill read more bad records than it allows
    |-- DeliveryError            an output accepts no messages at present: they wait
    |-- StaleAttemptError        another attempt wrote more while this one caught up: retry
    `-- ParityError              two computations of the same answer differ
"""

from __future__ import annotations

from collections.abc import Mapping, Set
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
    """Base class of all errors; `str(error)` is one line that a user can act on.

    >>> UserError("--at: no time").exit_code, FencedError("lane 0 has another writer").exit_code
    (2, 75)
    """

    exit_code: ClassVar[int] = 1


class UserError(TandemError):
    """Wrong input by the user."""

    exit_code: ClassVar[int] = 2


class DefinitionError(UserError):
    """A definition that can't be run.

    `str(error)` is `FILE:LINE: FIELD: what was found; what is allowed`. Unknown parts are left out.

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
    """A bucket that doesn't exist, or that may not be read or written; the message has no credentials."""


class LaunchError(UserError):
    """The chosen runner, or this machine, can't do what was asked; the message names the remedy.

    `remedy` is the remedy alone, where it was passed separately; it ends the message.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}; {remedy}" if remedy else what)
        self.what, self.remedy = what, remedy


class JournalError(TandemError):
    """The journal holds something invalid."""


class SegmentError(JournalError):
    """A damaged, truncated or foreign segment. The message names it; none of it was used."""


class FencedError(JournalError):
    """Another writer has taken over this lane: stop, don't acknowledge."""

    exit_code: ClassVar[int] = 75


class WriterAliveError(JournalError):
    """Another run writes this journal and its heartbeat is fresh."""

    exit_code: ClassVar[int] = 2


class StoreError(TandemError):
    """The view store can't be read or written."""


class StoreAddressError(StoreError):
    """The address doesn't name a view store; the message has no password."""

    exit_code: ClassVar[int] = UserError.exit_code


class NoStoreError(StoreError):
    """There is no view store at the address."""

    exit_code: ClassVar[int] = UserError.exit_code


class DamagedStoreError(StoreError):
    """Stored data differ from what was written; the message names the place and the remedy. None of it was used."""


class PublishRefusedError(StoreError):
    """Publishing or rolling back now would break a guarantee; the message names it, and by how much."""


class BatchOutdatedError(PublishRefusedError):
    """The live run has counted since the batch run was built, or is another one: build another batch run."""


class BehindError(PublishRefusedError):
    """The live run doesn't hold everything yet that is served; it may soon, if it is running."""


class MissingFilesError(PublishRefusedError):
    """Another version of the definition hasn't read every file that the served version has."""


class UnreadMessagesError(PublishRefusedError):
    """Another version of the definition can't read messages that the served version reads.

    `version` is that other version; `letters` are, by position, the rows that are dead letters of it alone.
    """

    def __init__(self, message: str, version: str, letters: Mapping[str, Set[int]]) -> None:
        super().__init__(message)
        self.version, self.letters = version, letters


class RunDroppedError(StoreError):
    """The run that writes was dropped from the view store; retrying won't help."""


class SpillError(TandemError):
    """A file in which a backfill spilled events differs from what was written. None of it was used."""


class TooManyBadError(TandemError):
    """A backfill read more bad records than it allows; nothing of it is published."""


class DeliveryError(TandemError):
    """An output accepts no messages at present, whatever they are: they wait in the outbox and are retried."""

    def __init__(self, message: str = "", *, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after
        """Seconds to wait before the next attempt, as the receiver asks."""


class StaleAttemptError(TandemError):
    """Another attempt of the same run wrote more while this one caught up; retrying the bundle sees it."""


class ParityError(TandemError):
    """Two computations of the same answer differ."""
