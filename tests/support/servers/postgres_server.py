"""A PostgreSQL server of a test's own, which can be stopped as by a crash and started again."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from processes.ports import free_port

from servers.unprivileged import owner_of

__all__ = ["PostgresServer", "postgres_or_skip", "postgres_server"]


@dataclass(frozen=True)
class PostgresServer:
    """Listens on a socket in a folder of its own."""

    folder: Path
    port: int
    owner: dict[str, Any]
    programs: str = ""
    """Folder of another PostgreSQL than the PATH's."""
    settings: tuple[str, ...] = ("listen_addresses=",)

    @property
    def url(self) -> str:
        """Of its only database."""
        return f"postgresql://tandem@/postgres?host={self.folder}&port={self.port}"

    def start(self) -> None:
        """Returns once it takes connections."""
        settings = " ".join(f"-c {shlex.quote(setting)}" for setting in self.settings)
        options = f"-k {self.folder} -p {self.port} {settings}"
        self._control("-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def crash(self) -> None:
        """Its processes end at once, without a checkpoint, and all connections with them."""
        self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        command = [os.path.join(self.programs, "pg_ctl"), "-D", str(self.folder / "data"), *arguments]
        # an open pipe would be inherited by the server, and never end
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, timeout=120, **self.owner)


@contextlib.contextmanager
def postgres_server(programs: str = "", *settings: str) -> Iterator[PostgresServer]:
    """A fresh one, of the PATH or a folder. Raises LookupError, saying why, where there can be none."""
    if not all(shutil.which(os.path.join(programs, name)) for name in ("initdb", "pg_ctl", "postgres")):
        raise LookupError("this machine has no PostgreSQL server (initdb, pg_ctl and postgres in PATH)")
    folder = Path(tempfile.mkdtemp(prefix="tandem-pg-"))
    usual = ("listen_addresses=", *settings)
    server = PostgresServer(folder, free_port(), owner_of(folder), programs, usual)
    try:
        try:
            _create(server)
            server.start()
        except (subprocess.SubprocessError, OSError) as error:
            raise LookupError(f"PostgreSQL doesn't start here: {error}") from error
        yield server
        with contextlib.suppress(subprocess.SubprocessError):
            server.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def postgres_or_skip(*settings: str) -> Iterator[PostgresServer]:
    """As `postgres_server`, of the PATH, for a fixture: skips its tests where there can be none, or no driver."""
    pytest.importorskip("psycopg", reason="psycopg isn't installed")
    try:
        with postgres_server("", *settings) as server:
            yield server
    except LookupError as reason:
        pytest.skip(str(reason))


def _create(server: PostgresServer) -> None:
    data = server.folder / "data"
    command = [
        os.path.join(server.programs, "initdb"),
        "-D",
        str(data),
        "-U",
        "tandem",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=server.folder, timeout=120, **server.owner)
