"""Where transforms of tests leave what came by; they run in this process on local runners."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

_LOCK = threading.Lock()
_SEEN: dict[str, list[Any]] = {}


class Collect(beam.DoFn):  # type: ignore[misc]
    """Keeps a note of every element and passes it on."""

    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, element: Any) -> Iterator[Any]:
        with _LOCK:
            _SEEN.setdefault(self._name, []).append(element)
        yield element


def seen(name: str) -> list[Any]:
    """What came by so far."""
    with _LOCK:
        return list(_SEEN.get(name, ()))
