"""Reads definitions where jobs are launched: from a file of this machine, or an object of a bucket."""

from __future__ import annotations

from pathlib import Path

from tandem.schemas.definition.loading import Definition, load, loads
from tandem.schemas.errors import UserError
from tandem.storage.objects import ObjectMissingError
from tandem.storage.opening import objects_at
from tandem.storage.urls import is_url, location

__all__ = ["definition_at", "text_at"]


def definition_at(place: str) -> Definition:
    """The definition of a file or URL. One in a bucket contains its schemas: paths of files would be meaningless there.

    Raises DefinitionError, UserError, PlaceError.
    """
    return loads(text_at(place), file=place) if is_url(place) else load(Path(place))


def text_at(place: str) -> str:
    """The text of a file or URL. Raises OSError for a file, UserError and PlaceError for a URL."""
    if not is_url(place):
        return Path(place).read_text(encoding="utf-8")
    found = location(place, "--definition")
    try:
        return objects_at(found).get(found.key).decode("utf-8")
    except ObjectMissingError:
        raise UserError(f"--definition {place}: there is no such object") from None
    except UnicodeDecodeError:
        raise UserError(f"--definition {place}: it isn't text in UTF-8") from None
