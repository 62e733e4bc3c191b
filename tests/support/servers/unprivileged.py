"""Servers that refuse to run as root run as `nobody`."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

__all__ = ["owner_of"]


def owner_of(folder: Path) -> dict[str, Any]:
    """Arguments of `subprocess` by which a server runs as who owns the folder; as root it is given to `nobody`."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
