"""Tandem on a standalone Flink of this machine: `python -m benchmarks.flink replay|scaling|sustained|backfill ...`.

The cluster is that of `tandem flink start`: a JobManager, two TaskManagers, a job server, a pool of Python workers, all
on this machine, beside the publisher. Figures exclude the start of a job, which has a figure of its own. Every answer
is compared with the published events, or, of a replay and a backfill, counted.

replay: an unbounded run replays a journal of N events that batch doesn't have, with --lanes readers.
scaling: replays with one lane, with two, and two runs of one lane side by side, in turn, --rounds of each. Such runs
    share nothing but the machine, so they measure its second core. Java compiles code that runs for long, which takes a
    TaskManager some 30 s of processor time: replays before the first round (--warm-ups) are for that.
sustained: see benchmarks.live; freshness and CPU at a rate.
backfill: files of N events, on Flink and, in turn, on the FnApiRunner. The job of 20,000 events before each measures
    what a start costs there: a graph, workers, a job.

Flags that aren't known here go to `tandem`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.inputs.clicks import DEFINITIONS, Shape, files
from benchmarks.live import measure
from benchmarks.live_runs.live_watching import received, settled, usage
from benchmarks.live_runs.scene import Scene, wait_until
from benchmarks.measuring.results import Row, record
from tandem.runners.flink.cluster import Cluster
from tandem.runners.flink.rest import RUNNING
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["FlinkScene", "main", "measure_backfill", "measure_replay", "processes"]

_TIME_LIMIT: Final = 300.0
"""Seconds."""
_SMALL: Final = 20_000
"""Number of events of a job that measures start-up alone."""


@dataclass
class FlinkScene(Scene):
    """A scene whose pipeline runs on a cluster."""

    cluster: Cluster | None = None

    def opened(self, live: subprocess.Popen[str]) -> ViewStore:
        """The view store, once the pipeline has created it."""
        wait_until(lambda: (self.folder / "home" / "views.db").exists(), 60, live)
        time.sleep(0.5)
        return open_store(self.store)


def processes(cluster: Cluster) -> dict[str, int]:
    """Process ids by name; workers are named by their role."""
    named = {name: part.process.pid for name, part in cluster.parts().items() if part.process and part.alive}
    return named | {f"worker-{at}": worker.pid for at, worker in enumerate(cluster.workers(), 1)}


@contextmanager
def flink_scene(cluster: Cluster, flags: Sequence[str], **settings: Any) -> Any:
    """A scene on a cluster, in a temporary folder."""
    os.environ["TANDEM_FLINK_HOME"] = str(cluster.home)
    with tempfile.TemporaryDirectory(prefix="tandem-flink-") as folder:
        made = FlinkScene(Path(folder), flags=["--runner", "flink", *flags], cluster=cluster, **settings)
        try:
            made.set_up()
            yield made
        finally:
            made.end()
            _cancel_all(cluster)


def _cancel_all(cluster: Cluster) -> None:
    for job in cluster.rest.jobs():
        if job.state in RUNNING:
            cluster.rest.cancel(job.id)
    # Until a job has ended it writes into the folder that is removed next.
    wait_until(lambda: all(job.state not in RUNNING for job in cluster.rest.jobs()), 30)


def _cores(cluster: Cluster, before: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Processor seconds a second of each process of a cluster, since `before`."""
    return {
        f"{name}_cores": round((usage(pid).cpu - before.get(name, 0)) / seconds, 2)
        for name, pid in processes(cluster).items()
    }


def _check_count(store: ViewStore, compiled: CompiledDefinition, events: int) -> None:
    counted = sum(answer.events for answer in all_answers(store, compiled))
    assert counted == events, f"{counted:,} events counted instead of {events:,}"


def measure_replay(scene: FlinkScene, events: int, lanes: int) -> dict[str, Any]:
    """Measure the rate at which a run replays a journal. Raises AssertionError for wrong answers."""
    (source,) = files(Shape(events), "journal-json" if lanes == 1 else f"journal-json-{lanes}")
    shutil.copytree(source, scene.folder / "home" / "journal", copy_function=os.link)
    assert scene.cluster is not None
    begun = time.monotonic()
    live = scene.live()
    store = scene.opened(live)
    wait_until(lambda: received(store) > 0, _TIME_LIMIT, live)
    first_at, first = time.monotonic(), received(store)
    before = {name: usage(pid).cpu for name, pid in processes(scene.cluster).items()}
    copies = _messages(scene.folder / "home" / "journal")
    progress = [(first_at, first)]

    def all_in() -> bool:
        time.sleep(0.2)
        progress.append((time.monotonic(), received(store)))
        return progress[-1][1] >= copies and settled(store)

    wait_until(all_in, _TIME_LIMIT, live)
    ended = time.monotonic()
    cpu = _cores(scene.cluster, before, ended - first_at)
    # A run that was behind is served by its launcher's next look, when no bundle comes that would.
    wait_until(lambda: store.publishing.served(scene.compiled.definition.name) is not None, 60, live)
    _check_count(store, scene.compiled, events)
    return {
        "rate_per_s": round((copies - first) / (ended - first_at)),
        "steady_per_s": steady_rate(progress, copies),
        "first_after_s": round(first_at - begun, 1),
        "work_s": round(ended - first_at, 1),
        **cpu,
    }


def steady_rate(progress: Sequence[tuple[float, int]], messages: int) -> int:
    """Messages a second between a fifth and four fifths of them, of (seconds, messages so far) in order of time.

    It excludes a job's first bundles, and its end, when some lanes are done and others not.
    """
    low = next(sample for sample in progress if sample[1] >= messages / 5)
    high = next(sample for sample in progress if sample[1] >= messages * 4 / 5)
    return round((high[1] - low[1]) / (high[0] - low[0])) if high[0] > low[0] else 0


def measure_scaling(
    cluster: Cluster, flags: Sequence[str], options: argparse.Namespace
) -> list[tuple[dict[str, int], dict[str, Any]]]:
    """The distinguishing fields of the case, and figures: the median replay of one lane and of two, and their ratio."""

    def replays(lanes: int, runs: int = 1) -> list[dict[str, Any]]:
        """Replays by `runs` concurrent runs."""
        with ExitStack() as stack, ThreadPoolExecutor(runs) as pool:
            made = [
                flink_scene(cluster, ["--lanes", str(lanes), *flags], freshness=options.freshness) for _ in "_" * runs
            ]
            scenes = [stack.enter_context(scene) for scene in made]
            figures = list(pool.map(measure_replay, scenes, [options.events] * runs, [lanes] * runs))
        print(f"{runs} runs of {lanes} lanes: {figures}", flush=True)
        return figures

    for _ in range(options.warm_ups):
        replays(2)
    taken: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    apart: list[int] = []
    for _ in range(options.rounds):
        for lanes, figures in taken.items():
            figures += replays(lanes)
        apart.append(sum(figures["steady_per_s"] for figures in replays(1, runs=2)))
    middle = {
        lanes: sorted(figures, key=lambda one: one["steady_per_s"])[len(figures) // 2]
        for lanes, figures in taken.items()
    }
    return [*(({"lanes": lanes}, figures) for lanes, figures in middle.items()), ({}, _compared(taken, apart))]


def _compared(taken: Mapping[int, Sequence[Mapping[str, Any]]], apart: Sequence[int]) -> dict[str, Any]:
    """The ratios of rates: two lanes to one lane, and two runs of one lane each (`apart`) to one."""
    one, two = ([figures["steady_per_s"] for figures in taken[lanes]] for lanes in (1, 2))
    times = [many / alone for alone, many in zip(one, two, strict=True)]
    return {
        "rounds": len(one),
        "two_lanes_times": round(median(two) / median(one), 2),
        "least_times": round(min(times), 2),
        "most_times": round(max(times), 2),
        "apart_times": round(median(apart) / median(one), 2),
    }


def _messages(journal: Path) -> int:
    from tandem.journal.index import JournalIndex
    from tandem.journal.storage.blobs import LocalBlobs

    index = JournalIndex(LocalBlobs(str(journal)))
    index.refresh()
    return sum(ref.count for ref in index.segments())


def measure_backfill(form: str, events: int, flags: Sequence[str]) -> dict[str, Any]:
    """Seconds as `tandem backfill` reports them, and the number of answers."""
    folder = files(Shape(events), form)[0].parent
    with tempfile.TemporaryDirectory(prefix="tandem-flink-") as home:
        command = [sys.executable, "-m", "tandem", "backfill", "--definition", str(DEFINITIONS["clicks"])]
        command += ["--files", f"{folder}/*", "--home", home, *flags]
        begun = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        whole = time.monotonic() - begun
        assert done.returncode == 0, done.stderr
        said = re.search(r"took in ([\d,]+) events .* in ([\d.]+) s", done.stderr)
        assert said is not None, done.stderr
        seconds, count = float(said[2]), int(said[1].replace(",", ""))
        from tandem.schemas.definition.compiled import compile_definition
        from tandem.schemas.definition.loading import load

        compiled = compile_definition(load(DEFINITIONS["clicks"]))
        counted = sum(answer.events for answer in all_answers(open_store(f"sqlite:///{home}/views.db"), compiled))
        assert counted == events, f"{counted:,} events counted instead of {events:,}"
    return {"work_s": seconds, "whole_s": round(whole, 1), "rate_per_s": round(count / seconds)}


def compare_backfills(form: str, events: int, flags: Sequence[str]) -> dict[str, Any]:
    """Figures of a backfill on Flink, and of the same on the FnApiRunner (`direct_...`), without start-up."""
    figures: dict[str, Any] = {}
    for name, runner in (("", ["--runner", "flink", *flags]), ("direct_", [])):
        # The first job of a cluster that has just been started takes longer: Java compiles its code.
        start = min(measure_backfill(form, _SMALL, runner)["work_s"] for _ in range(2))
        whole = measure_backfill(form, events, runner)
        work = whole["work_s"] - start
        figures |= {f"{name}start_up_s": start, f"{name}work_s": round(work, 2), f"{name}whole_s": whole["whole_s"]}
        figures[f"{name}rate_per_s"] = round(events / work)
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("replay", "scaling", "sustained", "backfill"))
    parser.add_argument("--cluster", help="folder of the cluster (default: that of tandem flink)")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=20_000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--lanes", type=int, choices=(1, 2, 4), default=1)
    parser.add_argument("--form", choices=("jsonl", "parquet", "avro"), default="jsonl", help="of a backfill's files")
    parser.add_argument("--freshness", default="500ms", help="the definition's setting")
    parser.add_argument("--tile", default="1m", help="the definition's setting; 1d: all events are in one tile")
    parser.add_argument("--rounds", type=int, default=5, help="of scaling")
    parser.add_argument("--warm-ups", type=int, default=5, help="replays before the first round of scaling")
    parser.add_argument("--no-record", action="store_true")
    return parser


def main() -> None:
    """Measure one case and record it."""
    options, flags = _parser().parse_known_args()
    cluster = Cluster.start(options.cluster)
    case: dict[str, str | int] = {"what": options.what, "flags": " ".join(flags)}
    if options.what == "scaling":
        found = measure_scaling(cluster, flags, options)
        case |= {"events": options.events}
        if not options.no_record:
            record(
                "flink",
                [Row(case | which | ({"what": "replay"} if which else {}), figures) for which, figures in found],
            )
        return
    if options.what == "backfill":
        os.environ["TANDEM_FLINK_HOME"] = str(cluster.home)
        case |= {"events": options.events, "form": options.form}
        figures = compare_backfills(options.form, options.events, flags)
    else:
        case |= {"lanes": options.lanes}
        settings = {"freshness": options.freshness, "tile": options.tile}
        with flink_scene(cluster, ["--lanes", str(options.lanes), *flags], **settings) as made:
            if options.what == "replay":
                case |= {"events": options.events} | ({"tile": options.tile} if options.tile != "1m" else {})
                figures = measure_replay(made, options.events, options.lanes)
            else:
                case |= {"rate": options.rate, "seconds": round(options.seconds)}
                figures = measure(made, options.rate, options.seconds, warm_up=20.0)
    for name, value in figures.items():
        print(f"{name:<24} {value if not isinstance(value, list) else value[:: max(len(value) // 10, 1)]}")
    if not options.no_record:
        record("flink", [Row(case, figures)])


if __name__ == "__main__":
    main()
