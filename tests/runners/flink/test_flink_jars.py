"""Jars are fetched once, whole or not at all, and are what they should be."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from pathlib import Path

import pytest

from tandem.runners.flink import jars as flink_jars
from tandem.schemas.errors import LaunchError


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fetching is pretended; what was fetched."""
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    calls: list[str] = []

    def fetch(name: str) -> object:
        def make(making: Path) -> Path:
            calls.append(name)
            lib = making / "lib"
            lib.mkdir()
            (lib / f"{name}.jar").write_text(name)
            return lib

        return make

    monkeypatch.setattr(flink_jars, "_fetch_flink", fetch("flink-dist"))
    monkeypatch.setattr(flink_jars, "_fetch_beam", fetch("beam-runners"))
    return calls


def manifest(jar: Path) -> dict[str, str]:
    text = zipfile.ZipFile(jar).read("META-INF/MANIFEST.MF").decode()
    assert all(len(line) <= 70 for line in text.split("\r\n"))
    return dict(line.split(": ", 1) for line in text.replace("\r\n ", "").split("\r\n") if line)


def test_the_second_time_nothing_is_fetched(fetched: list[str]) -> None:
    notes: list[str] = []
    first = flink_jars.provide(notes.append)
    assert flink_jars.provide(notes.append) == first
    assert fetched == ["flink-dist", "beam-runners"]
    assert len(notes) == 2


def test_one_small_jar_names_all_others(fetched: list[str]) -> None:
    jars = flink_jars.provide()
    found = manifest(jars.job_server)
    assert found["Main-Class"] == "org.apache.beam.runners.flink.FlinkJobServerDriver"
    paths = [Path(uri.removeprefix("file://")) for uri in found["Class-Path"].split(" ")]
    assert [path.name for path in paths] == ["flink-dist.jar", "beam-runners.jar"]
    assert all(path.is_file() for path in paths)


def test_what_is_staged_with_each_job_is_that_one_jar(fetched: list[str]) -> None:
    jars = flink_jars.provide()
    assert "gradle/wrapper" in str(jars.flink)
    assert "gradle/wrapper" in str(jars.beam)
    assert "gradle/wrapper" not in str(jars.job_server)


def test_what_was_cut_off_is_made_anew(fetched: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(making: Path) -> Path:
        (making / "half.jar").write_text("ha")
        raise KeyboardInterrupt

    whole = flink_jars._fetch_beam
    monkeypatch.setattr(flink_jars, "_fetch_beam", cut_off)
    with pytest.raises(KeyboardInterrupt):
        flink_jars.provide()
    (flink_jars.cache_folder() / "gradle/wrapper/making-killed").mkdir()
    monkeypatch.setattr(flink_jars, "_fetch_beam", whole)
    jars = flink_jars.provide()
    assert fetched == ["flink-dist", "beam-runners"]
    assert [path.name for path in jars.beam.iterdir()] == ["beam-runners.jar"]
    assert not list(jars.beam.parent.glob("making-*"))


def test_two_at_once_fetch_once(fetched: list[str]) -> None:
    threads = [threading.Thread(target=flink_jars.provide) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fetched) == ["beam-runners", "flink-dist"]
    assert flink_jars.provide().job_server.is_file()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        pytest.param({"JAVA_HOME": "/nowhere"}, "in JAVA_HOME, /nowhere; install", id="java-home"),
        pytest.param({"JAVA_HOME": "", "PATH": "/nowhere"}, "no `java` on the PATH; install", id="no-java"),
    ],
)
def test_without_java(variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LaunchError, match=message):
        flink_jars.provide()


def test_without_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match=r"no `mvn` on the PATH; install Maven 3, or pass --flink_job_server_jar"):
        flink_jars._fetch_beam(tmp_path)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param({"a.jar": b"a", "b.jar": b"other"}, r"b\.jar: sha256 [0-9a-f]{64}, but", id="changed"),
        pytest.param({"a.jar": b"a"}, r"b\.jar: sha256 None", id="missing"),
        pytest.param({"a.jar": b"a", "b.jar": b"b", "c.jar": b"c"}, r"c\.jar: .* says None", id="unexpected"),
    ],
)
def test_jars_that_are_not_what_they_should_be(found: dict[str, bytes], message: str, tmp_path: Path) -> None:
    digests = tmp_path / "digests.txt"
    digests.write_text("".join(f"{hashlib.sha256(n).hexdigest()}  {n.decode()}.jar\n" for n in (b"a", b"b")))
    lib = tmp_path / "lib"
    lib.mkdir()
    for name, content in found.items():
        (lib / name).write_bytes(content)
    with pytest.raises(LaunchError, match=message):
        flink_jars._check_digests(lib, digests)


def test_a_command_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"^Flink could not be fetched with sh: ERROR: no such version$"):
        flink_jars._run(["sh", "-c", "echo ERROR: no such version; echo more; exit 1"], "Flink")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "file"))
    with pytest.raises(LaunchError, match="TANDEM_CACHE names another folder"):
        flink_jars.provide()
