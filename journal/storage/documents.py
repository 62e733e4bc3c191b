"""Small JSON documents of the journal, with a checksum of their own; older ones without one are read as well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

__all__ = ["decode_document", "encode_document"]

_CHECK: Final = "check"


def encode_document(content: Mapping[str, Any], indent: int | None = None) -> bytes:
    """JSON with sorted names; equal contents are equal bytes."""
    return json.dumps({**content, _CHECK: _crc(content)}, sort_keys=True, indent=indent).encode()


def decode_document(data: bytes, *names: str) -> dict[str, Any]:
    """The inverse, without the checksum; `names`: all valid names, the first one required. Raises ValueError for other
    or changed data.
    """
    content = json.loads(data)
    if not isinstance(content, dict):
        raise ValueError("a JSON object is expected")
    check = content.pop(_CHECK, None)
    if check is not None and check != _crc(content):
        raise ValueError("its checksum differs")
    if set(content) - set(names):  # such as a checksum whose own name was changed
        raise ValueError(f"it has fields that it can't have: {sorted(set(content) - set(names))}")
    if names[0] not in content:
        raise ValueError(f"it has no {names[0]}")
    return content


def _crc(content: Mapping[str, Any]) -> str:
    return f"{crc32(json.dumps(content, sort_keys=True, separators=(',', ':')).encode()):08x}"
