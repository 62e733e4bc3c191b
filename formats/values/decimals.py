"""Parses decimals."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from tandem.formats.avro.types import Type
from tandem.formats.dead_letters.verdicts import short

__all__ = ["parse_decimal"]

_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")


def parse_decimal(text: str, kind: Type) -> Decimal:
    """The exact decimal of a text. Raises ValueError if it has more digits or decimal places than `kind` allows."""
    if len(text) > 200 or not _DECIMAL.fullmatch(text):
        raise ValueError(f"{short(text)} is not a decimal")
    value = Decimal(text)
    digits, exponent = value.as_tuple().digits, int(value.as_tuple().exponent)
    stripped = "".join(map(str, digits)).rstrip("0")
    exponent += len(digits) - len(stripped)
    if not stripped.strip("0"):
        return Decimal(0)
    if exponent < -kind.scale or len(stripped) + exponent > kind.precision - kind.scale:
        raise ValueError(f"{short(text)} doesn't fit {kind.precision} digits with {kind.scale} decimal places")
    return value
