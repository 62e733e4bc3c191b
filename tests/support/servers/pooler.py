"""PgBouncer in front of a PostgreSQL server of a test's own: each transaction gets any of a few sessions."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from processes.ports import free_port
from psycopg.conninfo import conninfo_to_dict

from servers.unprivileged import owner_of

__all__ = ["pooled"]

_SESSIONS: Final = 3
_TIME_LIMIT: Final = 60.0


@contextmanager
def pooled(url: str, sessions: int = _SESSIONS) -> Iterator[str]:
    """The URL of the same database by the pooler. Raises LookupError, saying why, where there is none."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        raise LookupError("this machine has no PgBouncer")
    folder, port = Path(tempfile.mkdtemp(prefix="tandem-pool-")), free_port()
    (folder / "users").write_text('"tandem" ""\n', encoding="utf-8")
    (folder / "pgbouncer.ini").write_text(_settings(url, folder, port, sessions), encoding="utf-8")
    owner = owner_of(folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "pgbouncer.ini")], stdout=log, stderr=log, **owner)
    try:
        made = f"postgresql://tandem@/postgres?host={folder}&port={port}"
        _await(made, process, folder / "log")
        yield made
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _settings(url: str, folder: Path, port: int, sessions: int) -> str:
    server = conninfo_to_dict(url)
    return f"""
[databases]
postgres = host={server["host"]} port={server["port"]} user=tandem
[pgbouncer]
pool_mode = transaction
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
default_pool_size = {sessions}
max_client_conn = 500
server_round_robin = 1
"""


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _TIME_LIMIT
    while process.poll() is None and time.monotonic() < end:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise LookupError(f"PgBouncer doesn't start here: {log.read_text(encoding='utf-8')[-300:]}")
