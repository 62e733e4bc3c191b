"""Opens the output of a command: standard output, or a file that is written whole or not at all."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from tandem.schemas.errors import UserError
from tandem.schemas.privacy.files import private
from tandem.schemas.privacy.printable import printable

__all__ = ["written_to"]


@contextmanager
def written_to(out: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that gets all its rows or doesn't appear. Raises UserError."""
    if out is None:
        if sys.stdout.isatty():
            yield cast(IO[bytes], _Terminal())
        else:
            yield sys.stdout.buffer
        sys.stdout.flush()
        return
    whole = not out.exists() or out.is_file()  # what is a pipe or a device is written to as it is
    part = out.with_name(f"{out.name}.part") if whole else out
    try:
        with open(part, "wb", opener=private if whole else None) as file:
            yield file
        if whole:
            os.replace(part, out)
    except OSError as error:
        raise UserError(f"--output {out}: {error.strerror}") from error
    finally:
        if whole:
            part.unlink(missing_ok=True)


class _Terminal(io.RawIOBase):
    """A terminal as a binary file; control characters are escaped."""

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Print whole texts, as the formats write them."""
        text = bytes(data).decode()
        sys.stdout.write(printable(text.replace("\r\n", "\n"), lines=True))
        return len(data)
