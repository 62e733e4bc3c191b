"""Each check: a small pipeline, or flags, with the fault are told of, and sound ones aren't."""

from __future__ import annotations

import json
import re
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import BytesCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as api
from apache_beam.transforms import trigger, window
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.userstate import BagStateSpec
from apache_beam.version import __version__ as beam_version

from tandem.runners.flink.cluster import Cluster
from tandem.runners.flink.config import Settings
from tandem.runners.flink.jars import PATCHED
from tandem.runners.flink.rest import FlinkRest
from tandem.runners.local import prism_binary
from tandem.runners.plan.before_launch import check_launch, findings_of, refuse
from tandem.runners.plan.checks import flink as checks_flink
from tandem.runners.plan.checks import graph as checks_graph
from tandem.runners.plan.checks import local as checks_local
from tandem.runners.plan.checks import options as checks_options
from tandem.runners.plan.checks import places as checks_places
from tandem.runners.plan.checks import reachable as checks_reachable
from tandem.runners.plan.checks import workers as checks_workers
from tandem.runners.plan.checks.dataflow import check_dataflow
from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.graph import graph_of
from tandem.runners.plan.launch import Engine, Launch, Places, engine_of, flag_values, is_this_machine
from tandem.schemas.errors import LaunchError

FLINK = ("--runner=FlinkRunner", "--flink_master=far:8081")
HERE = ("--runner=FlinkRunner", "--flink_master=[local]")
DATAFLOW = ("--runner=DataflowRunner", "--project=p", "--region=r", "--temp_location=gs://bucket/temp")
POOL = ("--environment_type=EXTERNAL", "--environment_config=localhost:50000")


def launch_of(pipeline: beam.Pipeline | None, *flags: str, name: str = "live", places: Places | None = None) -> Launch:
    graph = graph_of(pipeline if pipeline is not None else beam.Pipeline(options=PipelineOptions([])))
    return Launch(name, graph, PipelineOptions(list(flags)), places or Places())


def codes(findings: Iterator[Finding] | Sequence[Finding]) -> set[str]:
    return {finding.code for finding in findings}


class Keep(beam.DoFn):  # type: ignore[misc]
    """Has state."""

    BAG = BagStateSpec("bag", BytesCoder())

    def process(self, pair: tuple[str, int], bag: Any = beam.DoFn.StateParam(BAG)) -> Iterator[tuple[str, int]]:
        yield pair


@dataclass(frozen=True)
class Thing:
    """No coder is registered for it."""

    size: int


def pairs(pipeline: beam.Pipeline) -> Any:
    created = pipeline | "Made" >> beam.Create([("a", 1)])
    return created | "Pairs" >> beam.Map(lambda pair: pair).with_output_types(tuple[str, int])


def grouping(windows: Any, **how: Any) -> beam.Pipeline:
    pipeline = beam.Pipeline(options=PipelineOptions([]))
    _ = pairs(pipeline) | "Windows" >> beam.WindowInto(windows, **how) | "Group" >> beam.GroupByKey()
    return pipeline


# graphs


def foreign(urn: str = "beam:env:docker:v1") -> Launch:
    launch = launch_of(simple(), *HERE)
    proto = launch.graph.proto
    proto.components.environments["java"].CopyFrom(api.Environment(urn=urn, payload=b"apache/beam_java17_sdk"))
    step = next(t for t in proto.components.transforms.values() if t.unique_name == "Pairs")
    step.environment_id = "java"
    return launch


def simple() -> beam.Pipeline:
    pipeline = beam.Pipeline(options=PipelineOptions([]))
    pairs(pipeline)
    return pipeline


def test_a_step_of_another_language_is_found() -> None:
    assert [(f.code, f.where, f.level) for f in checks_graph.check_foreign(foreign())] == [
        ("cross-language", "Pairs", Level.ERROR)
    ]
    on_dataflow = replace(foreign(), options=PipelineOptions(list(DATAFLOW)))
    assert {f.level for f in checks_graph.check_foreign(on_dataflow)} == {Level.NOTE}
    assert not list(checks_graph.check_foreign(launch_of(simple(), *HERE)))


@pytest.mark.parametrize(
    ("runner", "found"),
    [
        pytest.param("FlinkRunner", {"native-read"}, id="flink"),
        pytest.param("DirectRunner", {"native-read"}, id="prism"),
        pytest.param("DataflowRunner", set(), id="dataflow"),
    ],
)
def test_the_native_read_is_for_dataflow(runner: str, found: set[str]) -> None:
    pipeline = beam.Pipeline(options=PipelineOptions([]))
    _ = pipeline | "Messages" >> beam.io.ReadFromPubSub(subscription="projects/project/subscriptions/clicks")
    assert codes(checks_graph.check_native_read(launch_of(pipeline, f"--runner={runner}"))) == found


def labelled(*, unnamed: bool = False, twice: bool = False, state: bool = False) -> beam.Pipeline:
    pipeline = beam.Pipeline(options=PipelineOptions(["--auto_unique_labels", "--streaming"]))
    made = pairs(pipeline)
    if unnamed:
        _ = made | beam.Map(lambda pair: pair)
    for _ in range(2 if twice else 1):
        _ = made | "Work" >> (beam.ParDo(Keep()) if state else beam.Map(tuple))
    return pipeline


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param({}, [], id="named"),
        pytest.param({"unnamed": True}, [Level.WARNING], id="a-lambda-with-its-line"),
        pytest.param({"twice": True}, [Level.WARNING], id="a-suffix"),
        pytest.param({"twice": True, "state": True}, [Level.ERROR], id="a-suffix-and-state"),
    ],
)
def test_labels_that_may_change_are_found(how: dict[str, bool], expected: list[Level]) -> None:
    launch = launch_of(labelled(**how), "--streaming", "--auto_unique_labels", *HERE)
    assert [f.level for f in checks_graph.check_labels(launch)] == expected


def test_elements_that_would_be_pickled_are_found() -> None:
    pipeline = beam.Pipeline(options=PipelineOptions([]))
    sound = pairs(pipeline) | "Keys" >> beam.Map(str).with_output_types(str)
    _ = sound | "Things" >> beam.Map(lambda text: {text, 1}).with_output_types(set[object])
    assert [f.where for f in checks_graph.check_coders(launch_of(pipeline))] == ["Things"]


def repeatedly() -> Any:
    return trigger.Repeatedly(trigger.AfterCount(2))


@pytest.mark.parametrize(
    ("windows", "how", "flags", "found"),
    [
        pytest.param(window.FixedWindows(60), {}, ("--streaming",), set(), id="default-trigger-on-prism"),
        pytest.param(
            window.Sessions(60),
            {"trigger": repeatedly(), "accumulation_mode": trigger.AccumulationMode.DISCARDING},
            ("--streaming",),
            {"trigger"},
            id="counting-sessions-on-prism",
        ),
        pytest.param(window.Sessions(60), {}, ("--streaming",), set(), id="sessions-on-prism"),
        pytest.param(
            window.FixedWindows(60),
            {"trigger": repeatedly(), "accumulation_mode": trigger.AccumulationMode.DISCARDING},
            ("--streaming",),
            {"trigger"},
            id="counting-on-prism",
        ),
        pytest.param(
            window.FixedWindows(60),
            {"trigger": repeatedly(), "accumulation_mode": trigger.AccumulationMode.DISCARDING},
            ("--streaming", *HERE),
            set(),
            id="counting-on-flink",
        ),
        pytest.param(
            window.FixedWindows(60),
            {
                "trigger": trigger.AfterWatermark(early=trigger.AfterProcessingTime(5)),
                "accumulation_mode": trigger.AccumulationMode.ACCUMULATING,
            },
            ("--streaming", *HERE),
            {"accumulating"},
            id="accumulating-on-flink",
        ),
        pytest.param(
            window.FixedWindows(60),
            {
                "trigger": trigger.Repeatedly(trigger.AfterProcessingTime(5)),
                "accumulation_mode": trigger.AccumulationMode.DISCARDING,
            },
            ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",),
            {"trigger"},
            id="processing-time-in-a-bounded-run",
        ),
    ],
)
def test_triggers(windows: Any, how: dict[str, Any], flags: Sequence[str], found: set[str]) -> None:
    assert codes(checks_graph.check_triggers(launch_of(grouping(windows, **how), *flags))) == found


# options


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        pytest.param([*HERE, "--checkpointing_interval=1000", "--object_reuse"], {}, id="flinks-own"),
        pytest.param([*HERE, "--job_name=x", "--sdk_worker_parallelism=2"], {}, id="beams-own"),
        pytest.param(
            [*HERE, "--chekpointing_interval", "1000"],
            {"--chekpointing_interval": "did you mean --checkpointing_interval?"},
            id="misspelled",
        ),
        pytest.param([*HERE, "--warp=9"], {"--warp": "leave it out"}, id="made-up"),
        pytest.param(
            ["--runner=SparkRunner", "--object_reuse"], {"--object_reuse": "leave it out"}, id="of-flink-on-spark"
        ),
    ],
)
def test_unknown_flags(flags: list[str], found: dict[str, str]) -> None:
    findings = list(checks_options.check_unknown(launch_of(None, *flags)))
    assert {f.where for f in findings} == set(found)
    assert all(found[f.where] in f.remedy for f in findings)


@pytest.mark.parametrize(
    ("flags", "ignored"),
    [
        pytest.param(["--direct_num_workers=4"], ["--direct_num_workers"], id="workers-with-prism"),
        pytest.param([*HERE, "--direct_num_workers=4"], ["--direct_num_workers"], id="workers-with-flink"),
        pytest.param([*HERE, "--parallelism=4"], [], id="parallelism-with-flink"),
        pytest.param(["--parallelism=4"], ["--parallelism"], id="parallelism-with-prism"),
        pytest.param([*DATAFLOW, "--parallelism=4"], ["--parallelism"], id="parallelism-with-dataflow"),
        pytest.param([*HERE, "--prism_location=x"], ["--prism_location"], id="prism-with-flink"),
        pytest.param([*DATAFLOW, "--num_workers=4"], [], id="workers-with-dataflow"),
        pytest.param([*HERE, "--num_workers=4"], ["--num_workers"], id="dataflows-workers-with-flink"),
    ],
)
def test_ignored_flags(flags: list[str], ignored: list[str]) -> None:
    assert [f.where for f in checks_options.check_ignored(launch_of(None, *flags))] == ignored


def test_what_beams_own_validation_says_is_told() -> None:
    wrong = launch_of(None, *HERE, "--environment_type=DOCKER", "--environment_option=process_command=x")
    assert codes(checks_options.check_beam(wrong)) == {"beam-options"}
    assert not list(checks_options.check_beam(launch_of(None, *HERE)))


# places


def places(folder: str = "/home/someone/data") -> Places:
    return Places(f"{folder}/journal", f"sqlite:///{folder}/views.db", f"{folder}/letters", None, (f"{folder}/*.avro",))


@pytest.mark.parametrize(
    ("flags", "name", "where"),
    [
        pytest.param((), "live", [], id="prism"),
        pytest.param(HERE, "live", [], id="flink-here"),
        pytest.param(("--runner=FlinkRunner", "--flink_master=localhost:8081"), "live", [], id="flink-on-localhost"),
        pytest.param((*FLINK, *POOL), "live", ["--journal", "--dead-letters", "--files"], id="flink-elsewhere"),
        pytest.param((*FLINK, *POOL), "backfill", ["--dead-letters", "--files"], id="without-a-journal"),
        pytest.param(DATAFLOW, "live", ["--journal", "--dead-letters", "--files"], id="dataflow"),
        pytest.param(
            ("--runner=PortableRunner", "--job_endpoint=far:8099"),
            "live",
            ["--journal", "--dead-letters", "--files"],
            id="a-job-server-elsewhere",
        ),
    ],
)
def test_folders_that_workers_dont_see(flags: Sequence[str], name: str, where: list[str]) -> None:
    launch = launch_of(None, *flags, name=name, places=places())
    assert [f.where for f in checks_places.check_folders(launch)] == where
    assert codes(checks_places.check_store(launch)) == ({"sqlite-store"} if where else set())


def test_a_shared_folder_and_a_server_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_places, "filesystem_of", lambda path: "nfs4")
    shared = replace(places("/mnt/share"), store="postgresql://db/views")
    launch = launch_of(None, *FLINK, *POOL, places=shared)
    assert not [*checks_places.check_folders(launch), *checks_places.check_store(launch)]


def test_the_kind_of_a_file_system() -> None:
    mounts = ["proc /proc proc rw 0 0", "/dev/sda / ext4 rw 0 0", "srv:/x /mnt/my\\040share nfs4 rw 0 0"]
    assert checks_places.filesystem_of("/mnt/my share/journal", mounts) == "nfs4"
    assert checks_places.filesystem_of("/mnt/my share2", mounts) == "ext4"
    assert checks_places.filesystem_of("/home/x", []) == ""


@pytest.mark.parametrize(
    ("emulator", "flags", "found"),
    [
        pytest.param("localhost:8085", FLINK, {"emulator"}, id="of-this-machine"),
        pytest.param("far:8085", FLINK, set(), id="of-another"),
        pytest.param("localhost:8085", HERE, set(), id="workers-here"),
    ],
)
def test_the_emulator(emulator: str, flags: Sequence[str], found: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator)
    assert codes(checks_places.check_emulator(launch_of(None, *flags))) == found


# workers


def test_modules_are_read_from_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stray_steps.py").write_text("import apache_beam as beam\nclass Stray(beam.DoFn):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    stray = __import__("stray_steps")
    pipeline = beam.Pipeline(options=PipelineOptions([]))
    _ = pairs(pipeline) | "Stray" >> beam.ParDo(stray.Stray())
    (payload,) = [
        api.ParDoPayload.FromString(t.spec.payload).do_fn.payload
        for t in graph_of(pipeline).leaves()
        if t.unique_name == "Stray"
    ]
    assert "stray_steps" in checks_workers.modules_in(payload)
    assert checks_workers.modules_in(b"beam:coder:bytes:v1") == frozenset()
    assert checks_workers.installed("stray_steps") is None
    found = {
        f.where: f.level for f in checks_workers.check_modules(launch_of(pipeline, *FLINK, *POOL)) if "stray" in f.what
    }
    assert found == {"Stray": Level.ERROR}
    here = ("--runner=FlinkRunner", "--flink_master=localhost:8081", *POOL)
    assert {f.level for f in checks_workers.check_modules(launch_of(pipeline, *here)) if "stray" in f.what} == {
        Level.WARNING
    }
    assert not list(checks_workers.check_modules(launch_of(pipeline, *HERE)))


def test_what_is_of_the_main_script_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    main = type("Mine", (beam.DoFn,), {"__module__": "__main__", "process": lambda self, pair: [pair]})
    pipeline = beam.Pipeline(options=PipelineOptions([]))
    _ = pairs(pipeline) | "Mine" >> beam.ParDo(main())
    found = checks_workers.check_modules(launch_of(pipeline, *FLINK, *POOL))
    assert ("main-module", "Mine") in [(f.code, f.where) for f in found]


@pytest.mark.parametrize(
    ("module", "how"),
    [
        pytest.param("json", "installed", id="standard-library"),
        pytest.param("pyarrow.compute", "installed", id="site-packages"),
        pytest.param("tandem.transforms.fold.fold", "tandem-beam", id="tandem"),
        pytest.param("no_such_module_at_all", None, id="nowhere"),
    ],
)
def test_how_a_module_is_installed(module: str, how: str | None) -> None:
    found = checks_workers.installed(module)
    assert found is None if how is None else how in ("installed", "tandem-beam") and found is not None
    assert (found == "installed") if how == "installed" else True


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        pytest.param(HERE, set(), id="embedded"),
        pytest.param((*FLINK, "--environment_type=LOOPBACK"), {"loopback"}, id="loopback-elsewhere"),
        pytest.param(
            ("--runner=FlinkRunner", "--flink_master=localhost:8081", "--environment_type=LOOPBACK"),
            set(),
            id="loopback-here",
        ),
        pytest.param((*FLINK, *POOL), set(), id="pool"),
        pytest.param((*FLINK, "--environment_type=EXTERNAL"), {"environment"}, id="pool-without-address"),
        pytest.param(FLINK, {"environment"}, id="beams-default-container"),
        pytest.param(
            (*FLINK, "--environment_type=DOCKER", "--environment_config=our/tandem:1"), set(), id="own-container"
        ),
        pytest.param(DATAFLOW, set(), id="dataflow"),
    ],
)
def test_environments(flags: Sequence[str], found: set[str]) -> None:
    assert codes(checks_workers.check_environment(launch_of(None, *flags))) == found


# this machine's runners


def unbounded() -> beam.Pipeline:
    pipeline = beam.Pipeline(options=PipelineOptions(["--streaming"]))
    _ = pipeline | "Ticks" >> PeriodicImpulse()
    return pipeline


@pytest.mark.parametrize(
    ("runner", "found"),
    [
        pytest.param("DirectRunner", set(), id="prism"),
        pytest.param("FlinkRunner", set(), id="flink"),
        pytest.param("apache_beam.runners.portability.fn_api_runner.FnApiRunner", {"unbounded"}, id="fn-api"),
        pytest.param("BundleBasedDirectRunner", {"unbounded"}, id="old-direct"),
        pytest.param("SparkRunner", {"unbounded"}, id="spark"),
    ],
)
def test_who_runs_what_has_no_end(runner: str, found: set[str]) -> None:
    assert codes(checks_local.check_unbounded(launch_of(unbounded(), f"--runner={runner}"))) == found
    assert not list(checks_local.check_unbounded(launch_of(simple(), f"--runner={runner}")))


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        pytest.param(HERE, {"job-server-timeout"}, id="beams-default"),
        pytest.param((*HERE, "--job_server_timeout=86400"), set(), id="a-day"),
        pytest.param((*HERE, "--streaming"), set(), id="unbounded"),
        pytest.param((), set(), id="prism"),
        pytest.param(DATAFLOW, set(), id="dataflow"),
    ],
)
def test_how_long_a_launcher_waits(flags: Sequence[str], found: set[str]) -> None:
    assert codes(checks_local.check_timeout(launch_of(None, *flags))) == found


BOUND = b"... TANDEM_PRISM_SOCKET ..."


@pytest.mark.parametrize(
    ("binaries", "flag", "interfaces", "found"),
    [
        pytest.param({"tandem": BOUND, "beam": b"x"}, "", ("eth0",), [], id="bound"),
        pytest.param({"tandem": b"cut off", "beam": b"x"}, "", ("eth0",), ["error open-port"], id="bound-by-name-only"),
        pytest.param({"beam": b"x"}, "", ("eth0",), ["error open-port"], id="downloaded"),
        pytest.param({"beam": b"x"}, "", (), [], id="downloaded-and-no-other-host"),
        pytest.param({}, "", ("eth0",), ["warning prism", "error open-port"], id="none"),
        pytest.param({}, "", (), ["warning prism"], id="none-and-no-other-host"),
        pytest.param({"mine": b"x", "tandem": BOUND}, "mine", ("eth0",), ["error open-port"], id="named"),
        pytest.param({"mine": BOUND}, "mine", ("eth0",), [], id="named-and-bound"),
        pytest.param({"tandem": BOUND}, "mine", ("eth0",), ["error prism"], id="named-and-not-there"),
        pytest.param({}, "https://h/x.zip", ("eth0",), ["error open-port"], id="of-a-url"),
    ],
)
def test_prism_is_looked_for(
    binaries: dict[str, bytes],
    flag: str,
    interfaces: tuple[str, ...],
    found: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tandem.runners.local.prism_binary.cache_folder", lambda: tmp_path)
    monkeypatch.setattr(checks_reachable, "other_interfaces", lambda: interfaces)
    names = {"tandem": prism_binary.bound_path().name, "beam": f"{prism_binary.downloaded_name()}.zip", "mine": "mine"}
    for name, data in binaries.items():
        (tmp_path / names[name]).write_bytes(data)
    location = [f"--prism_location={flag if '://' in flag else tmp_path / flag}"] if flag else []
    said = list(checks_reachable.check_prism(launch_of(None, *location)))
    assert [f"{finding.level} {finding.code}" for finding in said] == found
    assert not list(checks_reachable.check_prism(launch_of(None, *HERE)))


def test_a_prism_in_a_zip_file_is_looked_into(tmp_path: Path) -> None:
    for name, data in (("open", b"x"), ("bound", BOUND)):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("prism", data)
    assert not prism_binary.is_bound(tmp_path / "open")
    assert prism_binary.is_bound(tmp_path / "bound")


# Flink

SOUND = ("--checkpointing_interval=10000", "--retain_externalized_checkpoints_on_cancellation")


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        pytest.param(SOUND, set(), id="sound"),
        pytest.param((), {"no-checkpoints"}, id="none"),
        pytest.param(("--checkpointing_interval=-1",), {"no-checkpoints"}, id="switched-off"),
        pytest.param(("--checkpointing_interval", "often"), {"no-checkpoints"}, id="not-a-number"),
        pytest.param((*SOUND, "--checkpointing_mode=AT_LEAST_ONCE"), {"at-least-once"}, id="at-least-once"),
        pytest.param(("--checkpointing_interval=10000",), {"checkpoints-deleted"}, id="not-retained"),
    ],
)
def test_checkpoints(flags: Sequence[str], found: set[str]) -> None:
    assert codes(checks_flink.check_checkpoints(launch_of(None, *HERE, "--streaming", *flags))) == found
    assert not list(checks_flink.check_checkpoints(launch_of(None, *HERE, *flags)))
    assert not list(checks_flink.check_checkpoints(launch_of(None, "--streaming", *flags)))


@pytest.mark.parametrize(
    ("flags", "resume", "found"),
    [
        pytest.param((), None, set(), id="a-new-run"),
        pytest.param(("--savepoint_path=/s",), "000001-aa", set(), id="resumed"),
        pytest.param((), "000001-aa", {"resume"}, id="resumed-without-state"),
        pytest.param(("--savepoint_path=/s",), None, {"resume"}, id="a-new-run-with-old-state"),
        pytest.param(
            ("--savepoint_path=/s", "--allow_non_restored_state"), "000001-aa", {"non-restored"}, id="state-dropped"
        ),
    ],
)
def test_savepoints(flags: Sequence[str], resume: str | None, found: set[str]) -> None:
    launch = launch_of(None, *HERE, *flags, places=Places(resume=resume))
    assert codes(checks_flink.check_savepoint(launch)) == found


def test_fewer_slots_than_lanes() -> None:
    def found(*flags: str) -> set[str]:
        return codes(checks_flink.check_parallelism(launch_of(None, *HERE, *flags, places=Places(lanes=4))))

    assert found("--parallelism=2") == {"parallelism"}
    assert found("--parallelism=4") == found() == set()


@pytest.mark.parametrize(
    ("parallelism", "free", "resume", "found"),
    [
        pytest.param(4, 4, None, [], id="fits"),
        pytest.param(8, 4, None, [("slots", Level.ERROR, "needs 8 slots, and Flink at")], id="more-than-there-are"),
        pytest.param(4, 3, None, [("slots", Level.WARNING, "4 of Flink at")], id="more-than-are-free"),
        pytest.param(4, 0, "000001-aa", [("slots", Level.NOTE, "0 are free")], id="its-own-job-has-them"),
        pytest.param(-1, 0, None, [], id="as-many-as-flink-says"),
    ],
)
def test_slots(
    parallelism: int,
    free: int,
    resume: str | None,
    found: list[tuple[str, Level, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FlinkRest, "overview", lambda self: {"slots-total": 4, "slots-available": free})
    flags = ("--runner=FlinkRunner", "--flink_master=127.0.0.1:8", f"--parallelism={parallelism}")
    findings = list(checks_flink.check_parallelism(launch_of(None, *flags, places=Places(resume=resume))))
    assert [(one.code, one.level) for one in findings] == [(code, level) for code, level, _ in found]
    assert all(text in one.what for one, (_, _, text) in zip(findings, found, strict=True))


@pytest.mark.parametrize(("lanes", "free"), [(8, 4), (3, 1), (4, 4), (2, 0)])
def test_no_finding_advises_what_another_refuses(lanes: int, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the remedies no check of slots and lanes remains."""
    monkeypatch.setattr(FlinkRest, "overview", lambda self: {"slots-total": 4, "slots-available": free})
    parallelism = max(1, min(lanes, free))
    flags = ("--runner=FlinkRunner", "--flink_master=127.0.0.1:8", f"--parallelism={parallelism}")
    for finding in checks_flink.check_parallelism(launch_of(None, *flags, places=Places(lanes=lanes))):
        for advised in re.findall(r"--parallelism=(\d+)", finding.remedy):
            again = (*flags[:2], f"--parallelism={advised}")
            left = list(checks_flink.check_parallelism(launch_of(None, *again, places=Places(lanes=lanes))))
            assert "slots" not in codes(left), finding.line()


@pytest.fixture
def cluster() -> Iterator[str]:
    """What answers as Flink 1.19.3 does."""

    class Rest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"flink-version": "1.19.3"}).encode())

        def log_message(self, *values: object) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Rest)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def jar(folder: Path, flink: str, beams: str) -> str:
    path = folder / "server.jar"
    inside = f"lib/beam-runners-flink-{flink}-{beams}.jar"
    manifest = f"Manifest-Version: 1.0\r\nClass-Path: lib/first.jar {inside[:20]}\r\n {inside[20:]}\r\n"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("META-INF/MANIFEST.MF", manifest)
    return str(path)


@pytest.mark.parametrize(
    ("flags", "server", "found"),
    [
        pytest.param(["--flink_version=1.19"], None, set(), id="fits"),
        pytest.param(["--flink_version=1.20"], None, {"flink-version"}, id="another-flink"),
        pytest.param([], None, {"flink-version"}, id="beams-default-version"),
        pytest.param(["--job_endpoint=localhost:8099"], None, set(), id="a-job-server-that-runs"),
        pytest.param(["--flink_job_server_jar=/nowhere/mine.jar"], None, set(), id="a-jar-of-unknown-version"),
        pytest.param(["--flink_version=1.19"], ("1.19", beam_version), set(), id="jar-fits"),
        pytest.param(["--flink_version=1.19"], ("1.19", "2.62.0"), {"job-server"}, id="jar-of-an-older-beam"),
        pytest.param(["--flink_version=1.19"], ("1.18", beam_version), {"flink-version"}, id="jar-for-another-flink"),
    ],
)
def test_versions(
    flags: list[str], server: tuple[str, str] | None, found: set[str], cluster: str, tmp_path: Path
) -> None:
    jars = [f"--flink_job_server_jar={jar(tmp_path, *server)}"] if server else []
    launch = launch_of(None, "--runner=FlinkRunner", f"--flink_master={cluster}", *flags, *jars)
    assert codes(checks_flink.check_versions(launch)) == found


def test_a_cluster_that_doesnt_answer_is_an_error_with_its_address() -> None:
    launch = launch_of(None, "--runner=FlinkRunner", "--flink_master=127.0.0.1:1", "--flink_version=1.19")
    (finding,) = checks_flink.check_versions(launch)
    assert (finding.code, finding.level) == ("cluster", Level.ERROR)
    assert "127.0.0.1:1 doesn't answer" in finding.what
    assert not list(checks_flink.check_versions(launch_of(None, *HERE)))


@pytest.mark.parametrize(
    ("flags", "name", "found"),
    [
        pytest.param(
            [f"--flink_job_server_jar=/jars/job-server-1-flink-2{PATCHED}.jar"], "live", False, id="its-own-jar"
        ),
        pytest.param(["--job_endpoint=127.0.0.1:7"], "live", False, id="its-own-cluster"),
        pytest.param(["--job_endpoint=127.0.0.1:8"], "live", True, id="another-job-server"),
        pytest.param(["--flink_job_server_jar=/jars/beams.jar"], "live", True, id="another-jar"),
        pytest.param([], "live", True, id="the-one-that-beam-fetches"),
        pytest.param([], "backfill", False, id="bounded"),
    ],
)
def test_a_job_server_whose_jobs_grow_is_told_of(
    flags: list[str], name: str, found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "running", lambda: iter([Cluster(tmp_path, Settings(1, 2, 7, 3, 4))]))
    streaming = ["--streaming"] if name == "live" else []
    launch = launch_of(None, "--runner=FlinkRunner", "--flink_master=127.0.0.1:1", *streaming, *flags, name=name)
    assert codes(checks_flink.check_source_state(launch)) == ({"source-state"} if found else set())


def test_its_own_jar_is_told_to_be_replaced_by_no_other(tmp_path: Path) -> None:
    """Another one would be told to be replaced by this."""
    path = Path(jar(tmp_path, "1.19", "2.62.0")).rename(tmp_path / f"job-server-2.62.0-flink-1.19.3{PATCHED}.jar")
    flags = ("--runner=FlinkRunner", "--flink_master=[local]", "--streaming", f"--flink_job_server_jar={path}")
    launch = launch_of(None, *flags, "--flink_version=1.19")
    assert not [*checks_flink.check_versions(launch), *checks_flink.check_source_state(launch)]


@pytest.mark.parametrize(
    ("flags", "remedy"),
    [
        pytest.param(["--job_endpoint=127.0.0.1:8"], "leave --job_endpoint out", id="endpoint"),
        pytest.param([], "pass --flink_job_server_jar=PATH of Tandem's own", id="none-named"),
        pytest.param(["--flink_version=1.19"], "leave --flink_version out", id="version"),
        pytest.param(["--flink_version=1.20"], "Tandem patches that of Flink 1.19 alone", id="another-flink"),
    ],
)
def test_the_way_to_a_mended_job_server_can_be_gone(
    flags: list[str], remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "running", lambda: iter(()))
    launch = launch_of(None, "--runner=FlinkRunner", "--flink_master=[local]", "--streaming", *flags)
    (finding,) = checks_flink.check_source_state(launch)
    assert finding.remedy.startswith(remedy)


def test_without_a_cluster_of_its_own_every_job_server_is_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_FLINK_HOME", str(tmp_path))
    launch = launch_of(None, "--runner=FlinkRunner", "--streaming", "--job_endpoint=127.0.0.1:7")
    assert codes(checks_flink.check_source_state(launch)) == {"source-state"}


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        pytest.param("beam-runners-flink-1.19-job-server-2.77.0.jar", ("1.19", "2.77.0"), id="by-name"),
        pytest.param("https://host/beam-runners-flink-1.20-job-server-2.70.1.jar", ("1.20", "2.70.1"), id="by-url"),
        pytest.param("/nowhere/mine.jar", (None, None), id="unknown"),
    ],
)
def test_versions_of_jars(name: str, versions: tuple[str | None, str | None]) -> None:
    assert checks_flink.jar_versions(name) == versions


# Dataflow


@pytest.mark.parametrize(
    ("flags", "resume", "where"),
    [
        pytest.param(DATAFLOW, None, [], id="sound"),
        pytest.param(DATAFLOW[:2], None, ["--region", "--temp_location"], id="missing"),
        pytest.param((*DATAFLOW[:3], "--temp_location=/tmp"), None, ["--temp_location"], id="a-folder-of-this-machine"),
        pytest.param(DATAFLOW, "000001-aa", ["--resume"], id="resumed-without-state"),
        pytest.param((*DATAFLOW, "--update", "--job_name=x"), "000001-aa", [], id="updated"),
        pytest.param(HERE, None, [], id="another-runner"),
    ],
)
def test_dataflow_options(flags: Sequence[str], resume: str | None, where: list[str]) -> None:
    launch = launch_of(None, *flags, places=Places(resume=resume))
    assert [f.where for f in check_dataflow(launch)] == where


# all together


def test_refusing_is_one_line_with_exit_code_2() -> None:
    launch = launch_of(unbounded(), "--runner=FlinkRunner", "--flink_master=[local]", "--warp=9", "--streaming")
    findings = findings_of(launch)
    with pytest.raises(LaunchError, match=r"unknown-flag \[--warp\].*and 1 more") as refused:
        refuse(findings)
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)
    refuse(findings, {"unknown-flag", "no-checkpoints"})
    refuse([finding for finding in findings if finding.level is not Level.ERROR])


def test_check_launch_looks_at_the_places_of_the_config() -> None:
    @dataclass(frozen=True)
    class Home:
        journal: str = "/data/journal"
        store: str = "sqlite:////data/views.db"
        dead_letters: str = "/data/letters"

    @dataclass(frozen=True)
    class Config:
        home: Home = Home()
        lanes: int = 2

    options = PipelineOptions([*FLINK, *POOL])
    found = check_launch("live", simple(), options, Config())
    assert {"local-folder", "sqlite-store"} <= codes(found)
    assert codes(check_launch("live", simple(), options, (Config(),))) == codes(found)


@pytest.mark.parametrize(
    ("runner", "engine"),
    [
        pytest.param("", Engine.PRISM, id="none"),
        pytest.param("flinkrunner", Engine.FLINK, id="lower-case"),
        pytest.param("tandem.runners.local.tied_prism.TiedPrismRunner", Engine.PRISM, id="tied-prism"),
        pytest.param("some.RunnerOfMine", Engine.OTHER, id="unknown"),
    ],
)
def test_engines(runner: str, engine: Engine) -> None:
    assert engine_of(PipelineOptions([f"--runner={runner}"] if runner else [])) is engine


@pytest.mark.parametrize(
    ("address", "here"),
    [
        pytest.param("localhost:8081", True, id="localhost"),
        pytest.param("http://127.0.0.1:8081", True, id="url"),
        pytest.param("[::1]:8081", True, id="ipv6"),
        pytest.param("far.example:8081", False, id="another"),
        pytest.param("192.0.2.1:8081", False, id="an-address-of-nobody"),
        pytest.param("[0:0:0:0:0:0:0:1]:8081", True, id="own-address-in-full"),
    ],
)
def test_whether_an_address_is_this_machine(address: str, here: bool) -> None:
    assert is_this_machine(address) is here


def test_flag_values() -> None:
    flags = ["--a=1", "--b", "2", "--c", "--d-e", "x", "word", "--"]
    assert flag_values(flags) == {"a": "1", "b": "2", "c": None, "d_e": "x"}
