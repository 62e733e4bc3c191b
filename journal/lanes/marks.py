"""The position of a lane's reader, which a runner keeps in its checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from tandem.journal.lanes.watermarks import Watermarks
from tandem.schemas.errors import JournalError

__all__ = ["LaneMark", "LanePosition"]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class LanePosition:
    """The position in an earlier run's lane."""

    run: str
    lane: int
    number: int
    """The last segment that was emitted or skipped; 0: none."""
    watermarks: Watermarks = field(default_factory=dict)
    """The lane's watermark after it."""


@dataclass(frozen=True, slots=True)
class LaneMark:
    """A position of a reader; a reader resumed from it emits exactly the following segments."""

    run: str
    lane: int
    number: int = 0
    """The own lane's last segment that was emitted or skipped; 0: none."""
    replay: tuple[LanePosition, ...] = ()
    """Earlier lanes that this one replays; empty at their end."""
    replayed: bool = False
    """Whether the replay of earlier lanes is complete."""
    watermarks: Watermarks = field(default_factory=dict)
    """The lane's own watermark."""
    published: Watermarks = field(default_factory=dict)
    """Watermarks that may be published once a restart can't lead to an earlier mark."""
    done: bool = False
    """Whether the lane is closed and completely emitted."""

    def encode(self) -> bytes:
        """JSON; equal marks have equal bytes."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, separators=(",", ":")).encode()

    @staticmethod
    def decode(data: bytes) -> LaneMark:
        """The inverse of encode. Raises JournalError."""
        try:
            content = json.loads(data)
            if (version := content.pop("format")) != FORMAT:
                raise JournalError(f"lane mark of format {version!r}, this reader knows {FORMAT}")
            content["replay"] = tuple(LanePosition(**position) for position in content["replay"])
            return LaneMark(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"not a lane mark: {error}") from None
