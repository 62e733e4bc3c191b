"""The audit log of operators' actions: one JSON line each, on disk before the action's answer is sent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.schemas.certificate import time_text
from tandem.schemas.privacy.files import make_folder, private
from tandem.schemas.privacy.printable import json_text
from tandem.schemas.privacy.secrets import redacted

__all__ = ["AuditLog"]


@dataclass(frozen=True, slots=True)
class AuditLog:
    """An append-only file; lines are written atomically, from any number of processes."""

    path: Path

    def note(self, now: int, who: str, action: str, about: Mapping[str, Any], outcome: str) -> None:
        """Append {time, who, action, about, outcome}; users' texts are escaped."""
        line = {"time": time_text(now), "who": who, "action": action, "about": dict(about), "outcome": outcome}
        make_folder(self.path.parent)
        with open(self.path, "ab", buffering=0, opener=private) as file:
            file.write(redacted(json_text(line)).encode() + b"\n")
            os.fsync(file.fileno())
