"""Memory of every process and the size of checkpoints over a long run on Flink: `python -m benchmarks.flink_long`.

A source that checkpoints itself gives Flink a timer and a piece of state with each self-checkpoint; users of Beam
report (issue 27648) that Flink's checkpoints of them grow. Sampled until the publisher ends: resident memory of each
process, the heap that the TaskManagers use, and of each completed checkpoint its size and how long it took. Slopes are
of the last two thirds, by least squares. A Java process takes memory up to its limit before it collects garbage. A leak
shows in the heap that is left after a full collection, which is requested (by jcmd, where there is one) after a third,
two thirds and at the end.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from benchmarks.drawing.plots import save
from benchmarks.flink import FlinkScene, flink_scene, processes
from benchmarks.live import check
from benchmarks.live_runs.live_watching import received, settled, usage
from benchmarks.live_runs.scene import wait_until
from benchmarks.measuring.results import Row, load, record
from tandem.runners.flink.cluster import Cluster
from tandem.views.store import ViewStore

__all__ = ["draw", "main", "measure", "slope"]

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "performance"


def measure(scene: FlinkScene, rate: float, seconds: float, every: float = 5.0) -> dict[str, Any]:
    """Publish, sample and compare. Raises AssertionError for a wrong answer."""
    live = scene.live()
    store = scene.opened(live)
    publisher = scene.publisher(rate, seconds)
    series = _sampled(scene, publisher, live, store, seconds, every)
    wait_until(lambda: received(store) >= scene.published() and settled(store), 120, live)
    check(scene, "before batch")
    live.terminate()
    assert live.wait(120) == 0, scene.said()
    times = series["at_s"]
    slopes = {
        f"{name}_per_minute": round(60 * slope(times, values), 3)
        for name, values in series.items()
        if name.endswith(("_mb", "_ms")) and len(values) == len(times)
    }
    return {"events": scene.published(), **slopes, **series}


def _sampled(
    scene: FlinkScene,
    publisher: subprocess.Popen[str],
    live: subprocess.Popen[str],
    store: ViewStore,
    seconds: float,
    every: float,
) -> dict[str, list[float]]:
    assert scene.cluster is not None
    wait_until(lambda: received(store) > 0, 120, live)
    begun, cluster = time.monotonic(), scene.cluster
    job = cluster.rest.jobs()[0].id  # others may start on the cluster meanwhile
    pids = {"live": live.pid, **processes(cluster)}
    series: dict[str, list[float]] = {"at_s": [], "backlog": [], "checkpoint_mb": [], "checkpoint_ms": []}
    series |= {f"{name}_mb": [] for name in pids}
    series |= {f"{name}_mb": [] for name in _heaps(cluster)}
    left: dict[str, list[float]] = {"collected_at_s": []}
    while publisher.poll() is None:
        time.sleep(every)
        if live.poll() is not None:
            raise SystemExit(scene.said())
        latest = cluster.rest.checkpoints(job)["latest"]["completed"] or {}
        series["at_s"].append(round(time.monotonic() - begun, 1))
        series["backlog"].append(max(scene.published() - received(store), 0))
        series["checkpoint_mb"].append(round(latest.get("state_size", 0) / 1e6, 3))
        series["checkpoint_ms"].append(latest.get("end_to_end_duration", 0))
        for name, pid in pids.items():
            series[f"{name}_mb"].append(round(usage(pid).memory, 1))
        for name, used in _heaps(cluster).items():
            series[f"{name}_mb"].append(used)
        if series["at_s"][-1] >= (len(left["collected_at_s"]) + 1) * seconds / 3 - 2 * every:
            left["collected_at_s"].append(series["at_s"][-1])
            for name, used in _heaps_left(pids).items():
                left.setdefault(f"{name}_heap_left_mb", []).append(used)
    return series | left


def _heaps_left(pids: Mapping[str, int]) -> dict[str, float]:
    """Megabytes of heap that each TaskManager uses after a full collection; empty where jcmd can't request one."""
    tool = shutil.which("jcmd")
    left = {}
    for name, pid in pids.items() if tool is not None else ():
        if name.startswith("task-manager"):
            subprocess.run([str(tool), str(pid), "GC.run"], capture_output=True, check=True)
            said = subprocess.run([str(tool), str(pid), "GC.heap_info"], capture_output=True, text=True, check=True)
            used = re.findall(r"generation\s+total \d+K, used (\d+)K", said.stdout)
            left[name] = round(sum(map(int, used)) * 1024 / 1e6, 1)
    return left


def _heaps(cluster: Cluster) -> dict[str, float]:
    """Megabytes of heap that each TaskManager uses."""
    managers = sorted(manager["id"] for manager in cluster.rest.get("/taskmanagers")["taskmanagers"])
    path = "/taskmanagers/{}/metrics?get=Status.JVM.Memory.Heap.Used"
    simulated = {f"heap-{at}": cluster.rest.get(path.format(name)) for at, name in enumerate(managers, 1)}
    return {name: round(float(metrics[0]["value"]) / 1e6, 1) if metrics else 0.0 for name, metrics in simulated.items()}


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """The slope by least squares over the last two thirds; 0 for fewer than three samples."""
    first = len(times) // 3
    if len(times) - first < 3:
        return 0.0
    return float(np.polyfit(times[first:], values[first:], 1)[0])


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """For each long run: memory, and size and duration of checkpoints, against time."""
    drawn = []
    for row in rows:
        if row.case.get("what") != "long":
            continue
        canvas = Canvas(figsize=(13.0, 3.2), layout="constrained")
        memory, heap, size, duration = canvas.subplots(1, 4)
        times: Any = row.figures["at_s"]
        for name, series in row.figures.items():
            if name.endswith("_mb") and _fits(series, times) and name != "checkpoint_mb":
                panel = heap if name.startswith("heap") else memory
                panel.plot(times, series, label=name.removesuffix("_mb"))
        for name, series in row.figures.items():
            if name.endswith("_heap_left_mb"):
                left = name.removesuffix("_heap_left_mb")
                heap.plot(row.figures["collected_at_s"], series, "o", label=f"{left}, all collected")
        for panel in (memory, heap):
            if panel.lines:
                panel.legend(fontsize=6)
        size.plot(times, row.figures["checkpoint_mb"], color="#e4572e")
        duration.plot(times, row.figures["checkpoint_ms"], color="#4c78a8")
        titles = ("resident memory, MB", "heap in use, MB", "checkpoint, MB", "time of a checkpoint, ms")
        for panel, title in zip((memory, heap, size, duration), titles, strict=True):
            panel.set_title(title, fontsize=10)
            panel.set_xlabel("seconds")
            panel.set_ylim(bottom=0)
        canvas.suptitle(f"Flink, {row.case['rate']:,} events/s, {row.case['lanes']} lanes", fontsize=11)
        drawn.append(save(canvas, folder / f"flink-long-{row.case['rate']}-{row.case['seconds']}.svg"))
    return drawn


def _fits(series: object, times: Sequence[float]) -> bool:
    """Whether the series has a value for each time."""
    return isinstance(series, Sequence) and len(series) == len(times)


def main() -> None:
    """Measure, record, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", help="folder of the cluster (default: that of tandem flink)")
    parser.add_argument("--rate", type=int, default=10_000, help="messages a second")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--draw", action="store_true", help="only draw what was recorded")
    options, flags = parser.parse_known_args()
    if not options.draw:
        cluster, seconds = Cluster.start(options.cluster), options.minutes * 60
        case: dict[str, str | int] = {"what": "long", "rate": options.rate, "seconds": round(seconds)}
        case |= {"lanes": options.lanes, "flags": " ".join(flags)}
        with flink_scene(cluster, ["--lanes", str(options.lanes), *flags]) as scene:
            figures = measure(scene, options.rate, seconds)
        for name, value in figures.items():
            print(f"{name:<32} {value if not isinstance(value, list) else value[:: max(len(value) // 10, 1)]}")
        record("flink", [Row(case, figures)])
    for path in draw(load("flink"), FOLDER):
        print(path)


if __name__ == "__main__":
    main()
