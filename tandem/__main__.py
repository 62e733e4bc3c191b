"""`tandem`, and `python -m tandem`: Ctrl-C ends with one line even before slow imports."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Final

__all__ = ["main"]

_UNTIL_STOPPED: Final = ("live", "serve")
"""Commands that a signal ends as it should be, with exit code 0: service managers take others for a failure."""


def main() -> None:
    """Run the command line; an error is one line and an exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _not_begun)
    from tandem.schemas.privacy.umask import keep_private

    keep_private()
    from tandem import app

    app.main()


def _not_begun(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted: nothing was begun\n")
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    os._exit(0 if command in _UNTIL_STOPPED else 130)


if __name__ == "__main__":
    main()
