"""One lane's publication to the other lanes of a run, as a document and as part of a name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from tandem.journal.lanes.watermarks import Watermarks, WatermarkTracker
from tandem.journal.storage.documents import decode_document, encode_document
from tandem.schemas.errors import JournalError

__all__ = ["Published", "highest"]

_LONGEST: Final = 200
"""Longest encoding in a name: file systems take 255 bytes."""
_SOURCE: Final = re.compile(r"[0-9A-Za-z]+", re.ASCII)
_STATED: Final = re.compile(r"([wi]d?)((?:-[0-9A-Za-z]+_(?:m?\d+)?)*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Published:
    """One lane's publication to the others."""

    watermarks: Watermarks = field(default_factory=dict)
    idle: bool = False
    """Whether the lane has had successful empty pulls for the idle timeout: then it follows the others, and isn't
    followed itself while others work."""
    done: bool = False
    """Whether the reader has closed its lane itself and emitted all of it."""

    def encode(self) -> bytes:
        """The publication as JSON."""
        content = {"watermarks": dict(self.watermarks), "idle": self.idle, "done": self.done}
        return encode_document(content)

    @staticmethod
    def decode(path: str, data: bytes) -> Published:
        """The inverse of encode. Raises JournalError naming the path."""
        try:
            content = decode_document(data, "watermarks", "idle", "done")
            return Published(content["watermarks"], content["idle"], content["done"])
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{path}: not a published watermark: {error}") from None

    @property
    def stated(self) -> str:
        """The encoding for a name, such as `w-9ac_1700`: at work or idle, done, watermarks; "" if that is too long."""
        if not all(_SOURCE.fullmatch(source) for source in self.watermarks):
            return ""
        parts = [("i" if self.idle else "w") + ("d" if self.done else "")]
        for source, value in sorted(self.watermarks.items()):
            parts.append(f"{source}_{'' if value is None else str(value).replace('-', 'm')}")
        stated = "-".join(parts)
        return stated if len(stated) <= _LONGEST else ""

    @staticmethod
    @lru_cache(maxsize=1 << 14)
    def of(stated: str) -> Published | None:
        """The inverse of `stated`; None for other texts."""
        match = _STATED.fullmatch(stated)
        if match is None:
            return None
        pairs = [part.split("_") for part in match[2].split("-")[1:]]
        watermarks = {source: int(value.replace("m", "-")) if value else None for source, value in pairs}
        return Published(watermarks, match[1].startswith("i"), match[1].endswith("d"))


def highest(parts: Iterable[Published]) -> Published:
    """The merge of several publications of one reader, in any order: values only rise, and done stays done.

    It is idle only if all of them are: a publication that isn't delays the others, and never lets them go too far.
    """
    found = list(parts)
    tracker = WatermarkTracker(dict.fromkeys((source for part in found for source in part.watermarks), 0))
    for part in found:
        tracker.lift(part.watermarks)
    return Published(tracker.current(), all(part.idle for part in found), any(part.done for part in found))
