"""Command-line flags of the pipelines, parsed once into frozen values; what is left goes to Beam."""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from tandem.formats.files.pieces import MAX_PIECE_MEMORY
from tandem.schemas.definition import yaml_lines
from tandem.schemas.definition.loading import Definition, load
from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import parse_duration
from tandem.storage.urls import NO_STORE, is_url, place_of

__all__ = [
    "FlagParser",
    "Home",
    "add_definition_flag",
    "add_home_flags",
    "add_memory_flag",
    "beam_options",
    "definition_text",
    "home_from",
    "load_definitions",
    "piece_memory",
    "scratch_below",
]

_LEAST_MEMORY = 16_000_000
_PORTABLE_RUNNERS = ("FlinkRunner", "SparkRunner", "PortableRunner")


class FlagParser(argparse.ArgumentParser):
    """An argument parser whose errors are a UserError instead of usage and exit. Takes - and _ alike in flags."""

    def __init__(self, prog: str, description: str, *, add_help: bool = True) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False, add_help=add_help)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")

    def flag(self, name: str, **settings: object) -> None:
        """Add `--some-name`, also as `--some_name`, Beam's way of writing it."""
        spellings = [f"--{name}"] + ([f"--{name.replace('-', '_')}"] if "-" in name else [])
        self.add_argument(*spellings, dest=name.replace("-", "_"), **settings)  # type: ignore[arg-type]


def duration(text: str) -> int:
    """An argparse type: "500ms", "10s", "1h" or plain seconds, to microseconds."""
    with suppress(ValueError, OverflowError):
        text = f"{round(float(text) * 1_000_000)}us"
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def piece_memory(text: str) -> int:
    """Bytes that reading one piece of a file may take, of "512MB", "2GiB" or plain bytes. Raises UserError."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([kKmMgGtT]?)(i?)[bB]?", text.strip())
    if found is None:
        raise UserError(f"--max-piece-memory {text[:40]!r} is not a size; write it as 512MB or 2GiB")
    size: int = round(float(found[1]) * (1024 if found[3] else 1000) ** " KMGT".index(found[2].upper() or " "))
    if size < _LEAST_MEMORY:
        raise UserError(f"--max-piece-memory {text[:40]} is too little to read anything; at least 16MB")
    return size


def add_memory_flag(parser: FlagParser) -> None:
    """`--max-piece-memory SIZE`, bytes that reading one piece of a file may take."""
    parser.flag(
        "max-piece-memory",
        type=piece_memory,
        default=MAX_PIECE_MEMORY,
        metavar="SIZE",
        help="memory that reading one piece of a file may take; a file that takes more is refused (default: 512MiB)",
    )


@dataclass(frozen=True, slots=True)
class Home:
    """Where one installation keeps what it knows: all below one folder, unless said otherwise."""

    journal: str
    store: str
    dead_letters: str

    @classmethod
    def at(cls, home: str) -> Home:
        """The ordinary places below a folder or URL; below a URL no view store can lie. Raises UserError."""
        root = place_of(home, "--home")
        store = "" if is_url(root) else f"sqlite:///{root}/views.db"
        return cls(f"{root}/journal", store, f"{root}/deadletters")


def add_home_flags(parser: FlagParser) -> None:
    """`--home`, and a flag for each place below it."""
    parser.flag(
        "home",
        default=os.environ.get("TANDEM_HOME", "tandem-data"),
        help="folder or URL of journal, view store and dead letters (default: $TANDEM_HOME, else ./tandem-data)",
    )
    parser.flag("journal", help="the journal's folder, gs:// or s3:// (default: HOME/journal)")
    parser.flag("store", help="URL of the view store (default: sqlite:///HOME/views.db)")
    parser.flag("dead-letters", help="folder of the dead letters, gs:// or s3:// (default: HOME/deadletters)")


def home_from(flags: argparse.Namespace) -> Home:
    """The places that the flags name. Raises UserError for a view store of another kind."""
    usual = Home.at(flags.home)
    store = flags.store or usual.store
    if not store:
        raise UserError(NO_STORE)
    kind, url, _ = store.partition("://")
    if url and kind.partition("+")[0] not in ("sqlite", "postgresql"):
        raise UserError(f"--store: a view store is sqlite:///PATH or postgresql://..., found {kind}")
    return Home(
        journal=place_of(flags.journal, "--journal") if flags.journal else usual.journal,
        store=store if "://" in store else f"sqlite:///{os.path.abspath(store)}",
        dead_letters=place_of(flags.dead_letters, "--dead-letters") if flags.dead_letters else usual.dead_letters,
    )


def scratch_below(home: str) -> str:
    """The folder where pipelines of this machine keep what waits; for a home that is a URL the system's own."""
    root = place_of(home, "--home")
    return f"{tempfile.gettempdir()}/tandem-scratch-{os.getuid()}" if is_url(root) else f"{root}/scratch"


def add_definition_flag(parser: FlagParser, *, several: bool) -> None:
    """`--definition FILE`, once or several times."""
    if several:
        parser.flag("definition", action="append", required=True, metavar="FILE", help="a definition; repeatable")
    else:
        parser.flag("definition", required=True, metavar="FILE", help="the definition (YAML)")


def load_definitions(paths: Sequence[str]) -> tuple[Definition, ...]:
    """The definitions, none of them twice. Raises DefinitionError, or UserError for two of one name."""
    definitions = tuple(load(Path(path)) for path in paths)
    names = [definition.name for definition in definitions]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two definitions are named {name!r}; names must differ")
    return definitions


def definition_text(path: str) -> str:
    """A definition's text with its Avro schemas in it, so that it can be read wherever the view store is."""
    text = Path(path).read_text(encoding="utf-8")
    value = yaml_lines.read(text, path).value
    revisions = value["source"].get("revisions", {})
    if isinstance(value["source"]["schema"], dict) and not _names_files(revisions):
        return text
    source = load(Path(path)).source
    value["source"]["schema"] = source.avro_schema
    if revisions:
        value["source"]["revisions"] = source.revisions
    return json.dumps(value, ensure_ascii=False, indent=1)


def _names_files(revisions: str | dict[str, object]) -> bool:
    return isinstance(revisions, str) or any(isinstance(schema, str) for schema in revisions.values())


def beam_options(rest: Sequence[str]) -> PipelineOptions:
    """Beam's options. Raises UserError for flags that neither Tandem, nor Beam, nor a portable runner could know."""
    parser = argparse.ArgumentParser(
        conflict_handler="resolve", add_help=False, allow_abbrev=False, exit_on_error=False
    )
    for group in PipelineOptions.__subclasses__():
        group._add_argparse_args(parser)
    try:
        _, unknown = parser.parse_known_args(list(rest))
    except (argparse.ArgumentError, SystemExit) as error:
        raise UserError(f"wrong flag: {error}") from error
    options = PipelineOptions(list(rest))
    runner = options.view_as(StandardOptions).runner or ""
    if unknown and runner not in _PORTABLE_RUNNERS:
        raise UserError(f"unknown flag {unknown[0]!r}; neither Tandem nor Beam has it")
    return options
