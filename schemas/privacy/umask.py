"""Restricts what a process of Tandem creates to its user."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["keep_private"]

_PRIVATE: Final = 0o077


def keep_private() -> None:
    """Restrict files of this process, and of those that it starts, to their user; see
    `tandem.schemas.privacy.files`.
    """
    os.umask(_PRIVATE)
