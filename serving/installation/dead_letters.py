"""Selects the dead letters of a command: those of one definition version, through the user's filters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tandem.schemas.errors import DefinitionError, SourceFileError, UserError
from tandem.serving.questions.selection.instants import parse_time
from tandem.serving.questions.selection.naming import is_file_name, name_of
from tandem.storage.urls import place_of

if TYPE_CHECKING:
    from tandem.formats.dead_letters.files import StoredLetter
    from tandem.schemas.definition.loading import Definition
    from tandem.views.dead_letters.facts import LetterState
    from tandem.views.store import ViewStore

__all__ = [
    "STATUSES",
    "Filters",
    "Found",
    "Target",
    "dead_letter_folder",
    "find",
    "letter_id",
    "only_one",
    "parse_id",
    "target_of",
]

STATUSES: Final = ("open", "replayed", "dropped", "all")
_DIGITS: Final = 18
"""Digits of a row; Python reads some thousands only."""
_NAMED: Final = 10
"""Letters that an error names."""


@dataclass(frozen=True, slots=True)
class Target:
    """The owner of letters: a name, the version that found them, and the definition that is to read them."""

    name: str
    letters_of: str
    definition: Definition
    file: str | None
    """The definition's file, None where it was given by name."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The user's filters; a letter has to match all that are given."""

    reason: str | None = None
    stage: str | None = None
    position: str | None = None
    since: str | None = None
    until: str | None = None
    status: str = "all"
    letters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A dead letter; `stored` is None where its file can't be read, `problem` gives the reason."""

    state: LetterState
    stored: StoredLetter | None
    problem: str = ""

    @property
    def id(self) -> str:
        """The letter's id, POSITION#ROW."""
        return letter_id(self.state)

    @property
    def reason(self) -> str:
        """The reason of the latest failed attempt."""
        failed = [tried for tried in self.state.tried if not tried.decoded]
        if failed:
            return failed[-1].reason
        return self.stored.letter.reason if self.stored is not None else self.problem

    @property
    def stage(self) -> str:
        """The stage of the latest failed attempt; '' where it is unknown."""
        failed = [tried for tried in self.state.tried if not tried.decoded]
        if failed:
            return failed[-1].stage
        return self.stored.letter.stage if self.stored is not None else ""

    @property
    def time(self) -> int | None:
        """Time of publication, or for a record of a file the time at which its letter was written; microseconds UTC."""
        if self.stored is None:
            return None
        return self.stored.letter.publish_time or self.stored.written_at

    @property
    def status(self) -> str:
        """'open', 'in flight' (open, and a replay is on its way), 'replayed' or 'dropped'."""
        return "in flight" if self.state.in_flight else self.state.status.value


@dataclass(slots=True)
class _Files:
    """The files of letters; those of one position are held, until another's are asked for."""

    folder: str
    version: str
    position: str | None = None
    letters: dict[int, StoredLetter] | str = ""
    """By row, or why they can't be read."""

    def find(self, state: LetterState) -> Found:
        from tandem.formats.dead_letters.files import load

        if state.position != self.position:
            self.position = state.position
            try:
                self.letters = load(self.folder, self.version, state.position)
            except SourceFileError as error:
                self.letters = str(error)
        if isinstance(self.letters, str):
            return Found(state, None, self.letters)
        stored = self.letters.get(state.row)
        return Found(state, stored, "" if stored else f"no file below {self.folder}/{self.version} holds it")


def letter_id(state: LetterState) -> str:
    """The id of a letter, POSITION#ROW."""
    return f"{state.position}#{state.row}"


def parse_id(text: str) -> tuple[str, int | None]:
    """(position, row), the row None for a position alone. Raises UserError."""
    position, mark, row = text.rpartition("#")
    if not mark:
        return text, None
    if not row.isdecimal() or len(row) > _DIGITS:
        raise UserError(f"{text[:200]!r} is no dead letter; write POSITION#ROW, as `tandem deadletters list` shows it")
    return position, int(row)


def target_of(argument: str, views: ViewStore, version: str | None = None) -> Target:
    """The letters of `version`, else of the served version, else of the definition's own.

    The definition is the file's, or for a name that of the letters' version. Raises UserError, DefinitionError.
    """
    from tandem.schemas.definition.loading import load, loads

    name = name_of(argument, views)
    known = _versions(views, name)
    if version is not None and version not in known:
        there = f"there are {', '.join(known)}" if known else "there is none"
        raise UserError(f"{name} has no version {version!r} in the view store: {there}")
    served = views.publishing.served(name)
    wanted = version or (served.version if served is not None else None)
    if is_file_name(argument):
        definition = load(Path(argument))
        return Target(name, wanted or definition.version, definition, os.path.abspath(argument))
    wanted = wanted or known[0]
    try:
        text = views.definitions.text(wanted)
        return Target(name, wanted, loads(text, file=f"{name}, as registered").model_copy(update={"name": name}), None)
    except DefinitionError as error:
        raise UserError(f"{error}; name its file instead") from error


def _versions(views: ViewStore, name: str) -> list[str]:
    """The versions registered or served under a name, newest first."""
    import sqlalchemy as sa

    from tandem.views.storage.tables import definitions, publications

    d, p = definitions.c, publications.c
    served = sa.select(p.definition).where(p.name == name)
    query = sa.select(d.version).where((d.name == name) | d.id.in_(served)).order_by(d.id.desc())
    with views.database.read() as connection:
        return list(connection.execute(query).scalars())


def find(views: ViewStore, target: Target, filters: Filters, folder: str) -> Iterator[Found]:
    """The matching letters, by position and row, read in pages. Raises UserError for impossible filters at once."""
    if filters.status not in STATUSES:
        raise UserError(f"--status {filters.status}: there are {', '.join(STATUSES)}")
    since = parse_time(filters.since, "--since") if filters.since is not None else None
    until = parse_time(filters.until, "--until") if filters.until is not None else None
    if since is not None and until is not None and since >= until:
        raise UserError(f"--since {filters.since} isn't before --until {filters.until}")
    if target.letters_of not in _versions(views, target.name):
        raise UserError(f"{target.name}: version {target.letters_of} never ran here, so it has no dead letters")
    wanted = [parse_id(text) for text in filters.letters]
    positions = {position for position, _ in wanted} or None
    if positions is not None:
        states = views.dead_letters.states(target.letters_of, positions=positions)
        _check_named(states, filters.letters, wanted)
    places, files = frozenset(wanted), _Files(folder, target.letters_of)
    return (
        letter
        for state in views.dead_letters.states(target.letters_of, positions=positions)
        if _chosen(state, filters, places) and _fits(letter := files.find(state), filters, since, until)
    )


def _check_named(states: Iterable[LetterState], texts: Sequence[str], wanted: Sequence[tuple[str, int | None]]) -> None:
    missing = dict(zip(wanted, texts, strict=True))
    for state in states:
        missing.pop((state.position, state.row), None)
        missing.pop((state.position, None), None)
    for text in missing.values():
        raise UserError(f"there is no dead letter {text}; `tandem deadletters list` shows those that there are")


def _chosen(state: LetterState, filters: Filters, places: Set[tuple[str, int | None]]) -> bool:
    """Whether a letter fits the filters that need no file."""
    return (
        (filters.status == "all" or state.status.value == filters.status)
        and (filters.position is None or _lies_at(state, filters.position))
        and (not places or (state.position, state.row) in places or (state.position, None) in places)
    )


def _lies_at(state: LetterState, text: str) -> bool:
    """Whether a text is the letter, its position, or a prefix of it up to a '/': a lane, a run, a file."""
    return text in (state.position, letter_id(state)) or state.position.startswith(text.rstrip("/") + "/")


def _fits(letter: Found, filters: Filters, since: int | None, until: int | None) -> bool:
    if filters.reason is not None and filters.reason.casefold() not in letter.reason.casefold():
        return False
    if filters.stage is not None and letter.stage != filters.stage:
        return False
    if since is None and until is None:
        return True
    time = letter.time
    return time is not None and (since is None or time >= since) and (until is None or time < until)


def only_one(letters: Iterable[Found], argument: str) -> Found:
    """The one letter that an argument names. Raises UserError where it names several."""
    letters = iter(letters)
    first = list(islice(letters, _NAMED))
    if len(first) != 1:
        rows = ", ".join(f"#{letter.state.row}" for letter in first)
        count = len(first) + sum(1 for _ in letters)
        raise UserError(f"{count} dead letters are at {argument}: add one of {rows}")
    return first[0]


def dead_letter_folder(home: str, given: str | None) -> str:
    """The place of dead letters."""
    return place_of(given, "--dead-letters") if given else f"{place_of(home, '--home')}/deadletters"
