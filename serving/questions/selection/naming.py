"""Finds a definition and its keys by a user's input: a file, or a name that is registered in the view store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tandem.schemas.errors import DefinitionError, UserError

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.schemas.definition.loading import Definition
    from tandem.views.store import ViewStore

__all__ = [
    "asked_key",
    "compiled_named",
    "is_file_name",
    "key_named",
    "known_keys",
    "load_named",
    "load_published",
    "name_of",
    "other_keys",
    "registered",
    "registered_names",
    "registered_text",
]

_SOME_KEYS: Final = 5


def is_file_name(argument: str) -> bool:
    """Whether an argument is a file: it contains a dot or a slash, which no name does."""
    return "." in argument or "/" in argument


def name_of(argument: str, store: ViewStore) -> str:
    """The view's name. Raises DefinitionError for a bad file, UserError for a name that isn't registered."""
    if is_file_name(argument):
        from tandem.schemas.definition.loading import load

        return load(Path(argument)).name
    names = registered_names(store)
    if argument not in names:
        there = f"there are {', '.join(names)}" if names else "it is empty"
        raise UserError(
            f"no definition named {argument!r} in the view store: {there}; a file's name has a dot or a slash"
        )
    return argument


def compiled_named(argument: str, store: ViewStore) -> CompiledDefinition:
    """As `load_named`, compiled."""
    from tandem.schemas.definition.compiled import compile_definition

    return compile_definition(load_named(argument, store))


def key_named(compiled: CompiledDefinition, key: str | None) -> str | None:
    """A user's key in its stored form; None for all keys."""
    from tandem.schemas.definition.compiled import key_text

    return None if key is None else key_text(compiled, key)


def load_named(argument: str, store: ViewStore) -> Definition:
    """The definition of a file, or of a name in the served version, else the newest registered one.

    Raises DefinitionError, or UserError for an unknown name and for a file that differs from the served version.
    """
    from tandem.schemas.definition.loading import load

    name = name_of(argument, store)
    if is_file_name(argument):
        served, definition = store.publishing.served(name), load(Path(argument))
        if served is not None and served.version != definition.version:
            raise UserError(
                f"definition changed: {argument} is version {definition.version}, served is version {served.version} "
                f"of {name}: ask by name (`tandem query {name}`), compare them (`tandem diff {name} {argument}`), or "
                "publish the file's version first"
            )
        return definition
    return registered(name, registered_text(name, store))


def registered_text(name: str, store: ViewStore) -> str:
    """The text of a registered name's definition, in the served version, else of the newest one."""
    served = store.definitions.served_text(name)
    return served if served is not None else store.definitions.text(_versions(store, name)[0])


def registered(name: str, text: str) -> Definition:
    """The definition of a registered text. Raises UserError."""
    from tandem.schemas.definition.loading import loads

    try:
        return loads(text, file=f"{name}, as registered").model_copy(update={"name": name})
    except DefinitionError as error:
        raise UserError(f"{error}; name its file instead") from error


def load_published(name: str, publication: int, store: ViewStore) -> Definition:
    """The definition in the version that a publication served. Raises UserError for an unknown publication."""
    from tandem.schemas.definition.loading import loads

    listed = (each for each in store.publishing.publications(name) if each.ordinal == publication)
    found = next(listed, None)
    if found is None:
        raise UserError(f"no publication {publication} of {name}: `tandem publications {name}` lists them")
    text = store.definitions.text(found.version)
    return loads(text, file=f"{name}, as registered").model_copy(update={"name": name})


def registered_names(store: ViewStore) -> list[str]:
    """The names of all definitions in the store, sorted."""
    import sqlalchemy as sa

    from tandem.views.storage.tables import definitions, publications

    with store.database.read() as connection:
        # a version is registered once, under the first of the names that share it
        names = sa.union(sa.select(definitions.c.name), sa.select(publications.c.name))
        return sorted(connection.execute(names).scalars())


def _versions(store: ViewStore, name: str) -> list[str]:
    """The versions registered under a name, newest first."""
    import sqlalchemy as sa

    from tandem.views.storage.tables import definitions

    query = sa.select(definitions.c.version).where(definitions.c.name == name).order_by(definitions.c.id.desc())
    with store.database.read() as connection:
        return list(connection.execute(query).scalars())


def known_keys(store: ViewStore, version: str, limit: int, at: str = "") -> list[str]:
    """Some keys (canonical) with rows of a version, at most `limit`, sorted by their bytes.

    `at`: only that key, if it has any row.
    """
    import sqlalchemy as sa

    from tandem.views.storage.tables import batch_states, definitions, live_runs, live_states

    with store.database.read() as connection:
        definition = sa.select(definitions.c.id).where(definitions.c.version == version)
        number = connection.execute(definition).scalar()
        runs = sa.select(live_runs.c.id).where(live_runs.c.definition == number, live_runs.c.status != "DROPPED")
        places: list[tuple[Any, Any]] = [(batch_states.c.key, batch_states.c.definition == number)]
        places += [(live_states.c.key, live_states.c.run == run) for run in connection.execute(runs).scalars()]
        found: set[str] = set()
        for column, rows in places:
            rows = rows & (column == at) if at else rows
            last: str | None = ""
            for _ in range(limit):
                # one index step, however many tiles the previous key has
                last = connection.execute(sa.select(sa.func.min(column)).where(rows, column > last)).scalar()
                if last is None:
                    break
                found.add(last)
        if number is not None:
            found.update(_keys_in_files(connection, int(number), limit, at))
    return sorted(found)[:limit]


def _keys_in_files(connection: Any, definition: int, limit: int, at: str) -> list[str]:
    """As `known_keys`, from files of batch runs that weren't dropped."""
    import itertools

    import sqlalchemy as sa

    from tandem.views.layers.catalog import layer_files
    from tandem.views.layers.reading import rows_of_key
    from tandem.views.layers.rows import keys_with_files
    from tandem.views.storage.tables import batch_runs

    kept = (batch_runs.c.definition == definition) & (batch_runs.c.status != "DROPPED")
    runs = frozenset(connection.execute(sa.select(batch_runs.c.ordinal).where(kept)).scalars())
    files = layer_files(connection, definition, runs, key=at or None)
    if at:
        spans = (rows_of_key(file, at, file.first_tile, file.last_tile + 1) for file in files)
        return [at] if any(len(rows.tiles) for span in spans for rows in span) else []
    keys = (key for key, _ in itertools.groupby(keys_with_files((), files, "")))
    return list(itertools.islice(keys, limit))


def asked_key(compiled: CompiledDefinition, text: str | None) -> str | None:
    """The canonical form of a key; None for all keys. Raises UserError."""
    from tandem.schemas.definition.compiled import key_text

    if text is not None:
        return key_text(compiled, text)
    return key_text(compiled, "[]") if not compiled.definition.key else None


def other_keys(store: ViewStore, version: str, key: str) -> str:
    """Some keys with rows, in the form of `--key`; '' if this one has rows, or if none has."""
    if known_keys(store, version, 1, at=key):
        return ""
    keys = known_keys(store, version, _SOME_KEYS)
    shown = [_short(key) for key in keys[: _SOME_KEYS - 1]]
    return "; ".join([*shown, "..."] if len(keys) == _SOME_KEYS else shown)


def _short(key: str) -> str:
    values = json.loads(key)
    plain = all(isinstance(value, str) and value and not set(value) & set(" ,=\"'[{\n\r\t") for value in values)
    return ",".join(values) if plain else f"'{key}'"
