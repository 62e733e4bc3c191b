"""What a process of ours makes, as files that are open to its user alone."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["keep_private"]

_PRIVATE: Final = 0o077


def keep_private() -> None:
    """What this process and those that it starts make is for its user alone; see `schemas.privacy.files`."""
    os.umask(_PRIVATE)
