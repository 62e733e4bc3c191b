"""A job server whose streaming jobs name a source's state once and for all; whose bounded ones are as they were."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from on_engines.class_files import class_file

from tandem.runners.beam_patches import java_server_address
from tandem.runners.beam_patches.flink_source_state import patch
from tandem.schemas.errors import LaunchError

CONTROL = "org/apache/beam/runners/fnexecution/control/BundleCheckpointHandlers$"
HANDLER, TWIN = f"{CONTROL}StateAndTimerBundleCheckpointHandler", f"{CONTROL}OneStateTimerBundleCheckpointHandler"
OPERATOR = "org/apache/beam/runners/flink/translation/wrappers/streaming/ExecutableStageDoFnOperator"
BOUNDED = "org/apache/beam/runners/flink/translation/functions/FlinkExecutableStageFunction"
NUMBERED = bytes.fromhex("b6000e2ab6000e120fb6000e1b")


def packed(folder: Path, name: str, entries: dict[str, bytes]) -> Path:
    """A jar of classes."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        for entry, data in entries.items():
            archive.writestr(f"{entry}.class", data)
    return folder / name


def entries(jar: Path) -> dict[str, bytes]:
    """What is in a jar, but its manifest."""
    with zipfile.ZipFile(jar) as archive:
        return {name.removesuffix(".class"): archive.read(name) for name in archive.namelist() if "META" not in name}


def handler(code: bytes = NUMBERED) -> bytes:
    """About what the class looks like."""
    return b"this is " + HANDLER.encode() + b" with " + code


USES = b"new " + HANDLER.encode() + b" and isSdfTimer"


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A job server in parts."""
    folder = tmp_path / "server"
    packed(folder, "beam-runners-java-fn-execution-2.62.0.jar", {HANDLER: handler(), f"{CONTROL}Other": b"else"})
    users = {OPERATOR: USES, f"{OPERATOR}$Runner": b"no such thing", BOUNDED: USES}
    packed(folder, "beam-runners-flink-1.19-2.62.0.jar", users)
    packed(folder, "guava.jar", {"com/google/common": b"g"})
    packed(folder, "beam-sdks-java-core-2.62.0.jar", {java_server_address.CLASS.removesuffix(".class"): class_file()})
    return folder


def test_streaming_jobs_get_a_twin_without_the_number(server: Path) -> None:
    patch(server)
    control = entries(server / "beam-runners-java-fn-execution-2.62.0.jar")
    assert control[HANDLER] == handler()
    assert control[TWIN] == b"this is " + TWIN.encode() + b" with " + bytes.fromhex("b6000e01b6000e120fb6000e1b")
    assert len(control[TWIN]) == len(control[HANDLER])
    assert control[f"{CONTROL}Other"] == b"else"


def test_bounded_jobs_are_left_alone(server: Path) -> None:
    patch(server)
    assert entries(server / "beam-runners-flink-1.19-2.62.0.jar") == {
        OPERATOR: b"new " + TWIN.encode() + b" and isSdfTimer",
        f"{OPERATOR}$Runner": b"no such thing",
        BOUNDED: USES,
    }
    assert sorted(path.name for path in server.iterdir()) == [
        "beam-runners-flink-1.19-2.62.0.jar",
        "beam-runners-java-fn-execution-2.62.0.jar",
        "beam-sdks-java-core-2.62.0.jar",
        "guava.jar",
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({HANDLER: handler(b"otherwise")}, "isn't the class that is known", id="another method"),
        pytest.param({HANDLER: handler(NUMBERED * 2)}, "isn't the class that is known", id="twice"),
        pytest.param({}, "0 classes name a source's state and 1 use it", id="no such class"),
    ],
)
def test_what_is_not_known_is_not_changed(server: Path, changed: dict[str, bytes], message: str) -> None:
    jar = packed(server, "beam-runners-java-fn-execution-2.62.0.jar", changed)
    before = jar.read_bytes()
    with pytest.raises(LaunchError, match=message):
        patch(server)
    assert jar.read_bytes() == before


def test_a_server_is_patched_once(server: Path) -> None:
    patch(server)
    with pytest.raises(LaunchError, match="1 classes name a source's state and 0 use it"):
        patch(server)


def test_its_servers_listen_at_the_address_that_they_were_made_for(server: Path) -> None:
    patch(server)
    (changed,) = entries(server / "beam-sdks-java-core-2.62.0.jar").values()
    assert changed == java_server_address.patched(class_file())


def test_servers_that_are_nowhere_are_missed(server: Path) -> None:
    (server / "beam-sdks-java-core-2.62.0.jar").unlink()
    with pytest.raises(LaunchError, match="0 classes make servers, not 1"):
        patch(server)
