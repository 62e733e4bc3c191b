"""Replays dead letters of files: writes them to a file of their own, which a backfill reads."""

from __future__ import annotations

import fcntl
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tandem.formats.csv.files import header_of
from tandem.formats.dead_letters.files import load
from tandem.formats.dead_letters.replays import without_replay
from tandem.formats.files.listing import format_of, unread
from tandem.formats.files.pieces import local_path, storage_of
from tandem.formats.files.reading import expand, read_piece, split
from tandem.formats.text.streams import BOM, UTF_8
from tandem.journal.storage.opening import journal_exists
from tandem.pipelines.replay import Letter, Replayed
from tandem.runners.options.reading import read_arguments
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.loading import Source
from tandem.schemas.errors import SourceFileError, TandemError, UserError
from tandem.schemas.privacy.files import make_folder, private
from tandem.schemas.privacy.printable import printable
from tandem.schemas.telemetry.logs import logged
from tandem.storage.urls import is_url
from tandem.transforms.sinks.topics import packed
from tandem.transforms.trial import Verdict, try_messages
from tandem.views.dead_letters.facts import LetterNote, LetterState, Place
from tandem.views.locking.turns import turn
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["ReplayHome", "dry_run", "files_locked", "replay_files", "settle_files"]

MAX_FILE_LETTERS: Final = 50_000
MAX_FILE_BYTES: Final = 32 << 20
"""A replay file is one piece of a backfill, so that a record's row is its line."""


@dataclass(frozen=True, slots=True)
class ReplayHome:
    """The places of one installation that a replay needs."""

    root: str
    """A folder or URL; replay files are below it."""
    journal: str
    store: str
    dead_letters: str

    @property
    def replays(self) -> str:
        """The place of replay files; a folder without symbolic links, as a backfill identifies them."""
        return f"{self.root if is_url(self.root) else os.path.realpath(self.root)}/replays"

    @property
    def may_hold_replays(self) -> bool:
        """Whether a replay may have been written, by a check that costs little."""
        return is_url(self.root) or os.path.isdir(self.replays)


def dry_run(compiled: CompiledDefinition, letters: Sequence[Letter], now: int, folder: Path) -> list[Verdict]:
    """The outcome of each letter if it arrived `now` (microseconds UTC); nothing is sent or kept.

    `folder`: an empty one, for temporary files.
    """
    verdicts: dict[Place, Verdict] = {}
    messages = [letter for letter in letters if not letter.of_file]
    tried = [(x.stored.letter.payload, now, without_replay(x.stored.letter.attributes)) for x in messages]
    verdicts.update(zip((letter.place for letter in messages), try_messages(compiled, tried), strict=True))
    for path, held in _write_files(
        [letter for letter in letters if letter.of_file], compiled.definition.source, str(folder)
    ):
        (ref,) = expand([path])
        found = [Verdict()] * len(held)
        for piece in split(ref, MAX_FILE_BYTES * 2, compiled.definition.source):
            for decoded in read_piece(compiled.definition.source, compiled.source_columns, piece, now):
                for dead in decoded.dead:
                    found[dead.row] = Verdict(dead.stage, dead.reason)
                for row, reason in compiled.prepare(decoded.events).failed.items():
                    found[int(decoded.rows[row])] = Verdict("expression", reason)
        verdicts.update(zip((letter.place for letter in held), found, strict=True))
    return [verdicts[letter.place] for letter in letters]


@contextmanager
def files_locked(home: ReplayHome) -> Iterator[None]:
    """Hold the lock that admits one replay of files at a time: another couldn't tell a running backfill from a dead
    one.

    Raises UserError.
    """
    if is_url(home.root):
        with turn(open_store(home.store).database, "replays", _say_line):
            yield
        return
    make_folder(home.replays)
    with open(f"{home.replays}/lock", "wb", opener=private) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another replay of files is under way in {home.replays}; wait for its end") from None
        yield


def _say_line(line: str) -> None:
    if not logged(line):
        sys.stderr.write(f"{printable(line)}\n")


def replay_files(
    store: ViewStore,
    compiled: CompiledDefinition,
    letters: Sequence[Letter],
    home: ReplayHome,
    definition_file: str,
) -> Replayed:
    """Write the records to replay files and run a backfill on these, which publishes them.

    Raises TandemError where that is refused, PublishRefusedError by the store; then nothing has changed. Call it within
    `files_locked`, after `settle_files`.
    """
    version = compiled.definition.version
    folder = f"{home.replays}/{version}"
    sent, written = 0, list[tuple[str, list[Letter]]]()
    try:
        for path, held in _write_files(letters, compiled.definition.source, folder):
            written.append((path, held))
            marks = [(x.place, x.state.attempts + 1, f"{path}#{line}") for line, x in enumerate(held)]
            if not all(store.dead_letters.send(version, marks)):
                raise UserError(f"{compiled.definition.name}: another replay of the same letters is under way")
            sent += len(held)
        _backfill(store, compiled, [path for path, _ in written], home, definition_file)
    except TandemError:
        for path, held in written:
            store.dead_letters.unsend(version, [(x.place, x.state.attempts + 1) for x in held])
            _remove(path)
        raise
    decoded, failed = settle_files(store, compiled, home)
    return Replayed(sent=sent, decoded=decoded, failed=failed)


def settle_files(store: ViewStore, compiled: CompiledDefinition, home: ReplayHome) -> tuple[int, int]:
    """Note the outcomes of replay files in the served batch run: (readable now, failed again). Can be repeated.

    Replays that a killed process had noted, and that no served batch run has read, may be replayed again.
    """
    from tandem.transforms.elements import ReplayOutcome

    version = compiled.definition.version
    waiting: dict[str, list[tuple[int, LetterState, int]]] = {}
    for state in store.dead_letters.states(version):
        act = next((act for act in reversed(state.acts) if act.kind == "sent"), None)
        if state.generation < 0 and act is not None and all(t.attempt < act.attempt for t in state.tried):
            path, _, line = act.note.rpartition("#")
            waiting.setdefault(path, []).append((int(line), state, act.attempt))
    decoded = failed = 0
    for path, held in waiting.items():
        reader = _reader(store, compiled.definition.name, path)
        if reader is None:
            store.dead_letters.unsend(version, [((s.position, s.row), attempt) for _, s, attempt in held])
            _remove(path)
            continue
        batch_run, generation = reader
        position = f"{path}/0"
        dead = load(home.dead_letters, version, position)
        outcomes = []
        for at, state, attempt in held:
            found = dead.get(at)
            why = (found.letter.stage, found.letter.reason) if found is not None else ("", "")
            outcomes.append(ReplayOutcome(at, state.position, state.row, attempt, found is None, why[0], why[1]))
        store.dead_letters.note(version, batch_run, [LetterNote(position, generation, (), outcomes)])
        decoded += sum(outcome.decoded for outcome in outcomes)
        failed += sum(not outcome.decoded for outcome in outcomes)
    return decoded, failed


def _reader(store: ViewStore, name: str, path: str) -> tuple[str, int] | None:
    """(batch run that read a file, the generation of its files) among the served one and its ancestors."""
    served = store.publishing.served(name)
    run = served.batch_run if served is not None else None
    while run is not None:
        found = store.batch.get(run)
        parent = store.batch.get(found.parent) if found.parent else None
        if any(file.path == path for file in store.batch.manifest(run).segments):
            inherited = {files.generation for files in parent.file_sets} if parent else set()
            return run, min(files.generation for files in found.file_sets if files.generation not in inherited)
        run = found.parent
    return None


def _backfill(
    store: ViewStore, compiled: CompiledDefinition, paths: Sequence[str], home: ReplayHome, definition_file: str
) -> None:
    from tandem.pipelines.backfill import run

    served = store.publishing.served(compiled.definition.name)
    arguments = ["--definition", definition_file, "--home", home.root, "--store", home.store]
    arguments += ["--journal", home.journal, "--dead-letters", home.dead_letters, "--publish-wait", "10s", "--copies"]
    # Records that were bad once may be so again: each letter's own outcome decides.
    arguments += ["--max-bad", "100%"]
    for path in paths:
        arguments += ["--files", path]
    if journal_exists(home.journal):
        # Only the letters: generations that were sealed meanwhile wait for a backfill of their own.
        arguments += ["--upto", str(served.boundary if served is not None else 0)]
    run(read_arguments("backfill", arguments))


def _write_files(letters: Sequence[Letter], source: Source, folder: str) -> Iterator[tuple[str, list[Letter]]]:
    """Records as JSON Lines, rows of CSV files below their original header; each file with its letters, by line."""
    mark = BOM if source.encoding != UTF_8 else b""
    for like, held in _alike(letters, source).items():
        place = f"{folder}/{like.folders}".rstrip("/")
        for part in packed(held, _size, MAX_FILE_LETTERS, MAX_FILE_BYTES):
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            path = f"{place}/replay-{stamp}-{secrets.token_hex(4)}{like.ending}"
            lines = [like.header] if like.header else []
            _write(path, mark + b"\n".join([*lines, *(_line(x, like) for x in part)]) + b"\n")
            yield path, part


def _write(path: str, data: bytes) -> None:
    if is_url(path):
        system, inner = storage_of(path)
        with system.open_output_stream(inner) as stream:
            stream.write(data)
        return
    make_folder(os.path.dirname(path))
    with open(path, "wb", opener=private) as file:
        file.write(data)


def _remove(path: str) -> None:
    if is_url(path):
        system, inner = storage_of(path)
        system.delete_file(inner)
    else:
        Path(path).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Like:
    """The properties that a file needs for its records to be read as in their original file."""

    ending: str
    header: bytes
    folders: str
    """The folders of its path whose names hold values."""


def _alike(letters: Sequence[Letter], source: Source) -> dict[_Like, list[Letter]]:
    groups: dict[_Like, list[Letter]] = {}
    known: dict[tuple[str, bool], _Like] = {}
    for letter in letters:
        path, rows = letter.state.position.rpartition("/")[0], letter.stored.letter.stage != "expression"
        if (path, rows) not in known:
            known[path, rows] = _like(path, source, rows=rows)
        groups.setdefault(known[path, rows], []).append(letter)
    return groups


def _like(path: str, source: Source, *, rows: bool) -> _Like:
    """The properties of a path. `rows`: the letters are the file's own records, not JSON of what was read."""
    local = local_path(path) or path
    folders = [folder for folder in local.split("/")[:-1] if "=" in folder] if source.partitions else []
    kind = format_of(path)
    if not rows or kind not in ("csv", "tsv"):
        return _Like(".jsonl", b"", "/".join(folders))
    try:
        header = header_of(unread(path), source)
    except SourceFileError:
        raise UserError(
            f"{path}: is gone, and with it the header that its rows need; bring it back, or drop its letters"
        ) from None
    return _Like(f".{kind}", header, "/".join(folders))


def _line(letter: Letter, like: _Like) -> bytes:
    """The record on one line; an object of a .json file may have spanned several."""
    payload = letter.stored.letter.payload
    return payload.replace(b"\r", b" ").replace(b"\n", b" ") if like.ending == ".jsonl" else payload


def _size(letter: Letter) -> int:
    return len(letter.stored.letter.payload) + 1  # and the end of its line
