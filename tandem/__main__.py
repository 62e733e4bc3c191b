"""`tandem`, and `python -m tandem`: Ctrl-C ends with one line even before slow imports."""

from __future__ import annotations

import os
import signal
from types import FrameType

__all__ = ["main"]


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
    os._exit(130)


if __name__ == "__main__":
    main()
