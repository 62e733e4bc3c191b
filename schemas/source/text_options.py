"""Options of a source's text files: delimiters and header of CSV files, and the encoding."""

from __future__ import annotations

import codecs
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema, model_validator

from tandem.schemas.definition.model_base import Model

__all__ = ["CsvOptions", "Encoding"]

_MOST_NAMES: Final = 10_000
_WRITTEN: Final = {"tab": "\t", "\\t": "\t"}
_UTF_8: Final = "utf-8"
_ALIKE: Final = ("ascii", "utf-8-sig")
_NOT_OF_FILES: Final = ("idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7", "mbcs", "oem")


def _written(value: object) -> object:
    return _WRITTEN.get(value, value) if isinstance(value, str) else value


def _sign(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text.isalnum() or text in "\r\n\0":
        raise ValueError(f"{text[:20]!r} is not one sign; allowed is one ASCII character, but no letter or digit")
    return text


def _names(value: object) -> object:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError("found no header; allowed are true, false, and a list of the columns' names")
    if not 1 <= len(value) <= _MOST_NAMES:
        raise ValueError(f"{len(value):,} names; allowed are 1 to {_MOST_NAMES:,}")
    return tuple(value)


def _encoding(name: str) -> str:
    """The encoding's canonical name."""
    try:
        known = codecs.lookup(name).name.replace("_", "-")
        bytes(8).decode(known, "ignore")  # LookupError for what turns bytes into other bytes
    except (LookupError, ValueError):
        known = ""
    if not known or known in _NOT_OF_FILES:
        raise ValueError(f"{name[:40]!r} is not an encoding of text; some are utf-8, utf-16, latin-1, cp1252")
    return _UTF_8 if known in _ALIKE else known


_SIGN: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 3}
_NAMES: Final[dict[str, Any]] = {
    "anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}
Sign = Annotated[str, BeforeValidator(_written), AfterValidator(_sign), WithJsonSchema(_SIGN)]
Header = Annotated[bool | tuple[str, ...], BeforeValidator(_names), WithJsonSchema(_NAMES)]
Encoding = Annotated[str, AfterValidator(_encoding)]


class CsvOptions(Model):
    """How CSV files are written; by default as in RFC 4180, with a header."""

    delimiter: Sign | None = None
    """The delimiter between values: by default a comma, in .tsv files a tab. `tab` is allowed too."""
    quote: Sign | None = '"'
    """The quote around values that hold delimiters; null: there is none."""
    escape: Sign | None = None
    """The character that escapes the next one. A doubled quote within quotes is always a quote."""
    comment: Sign | None = None
    """The character that begins a comment; lines that start with it are no rows."""
    header: Header = True
    """Whether the first row names the columns, or the columns' names where it doesn't; false: they are the schema's
    fields."""

    @model_validator(mode="after")
    def _signs_differ(self) -> CsvOptions:
        signs = {"delimiter": self.delimiter or ",", "quote": self.quote, "comment": self.comment}
        if self.escape != self.quote:
            signs["escape"] = self.escape
        for name, sign in signs.items():
            other = next((o for o, found in signs.items() if o != name and sign is not None and found == sign), None)
            if other is not None:
                raise ValueError(f"{name} and {other} are both {sign!r}; they must differ")
        return self
