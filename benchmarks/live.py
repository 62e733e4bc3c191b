"""How fast and how fresh the live pipeline is: `python -m benchmarks.live --rate 20000 --seconds 60`.

Everything runs on this machine, as a user would start it: `tandem emulator`, a publisher (`live_runs.live_traffic`),
`tandem live` on Prism, and this process, which observes. Event times are the times of publishing less up to 60 s; 2 %
of the messages are copies. Freshness is measured by probes, see `live_watching.Prober`. At the end every answer is
compared with the published events, exactly, before and after `tandem backfill`.

--catch-up N: stop the pipeline with N journaled events that batch doesn't have, start it again, and take the time from
the start of the process until it is served with all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.live_runs.live_watching import Prober, children, received, settled, usage
from benchmarks.live_runs.probes import PROBE_PAGE, percentiles
from benchmarks.live_runs.scene import Scene, scene, wait_until
from benchmarks.measuring.results import Row, record
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["main", "measure", "measure_catch_up"]


def measure(scene: Scene, rate: float, seconds: float, warm_up: float = 10.0) -> dict[str, Any]:
    """Publish at a rate and observe; returns figures. Raises AssertionError for a wrong answer."""
    live = scene.live()
    store = scene.opened(live)
    prober = Prober(store, scene.compiled, scene.address, scene.topic, scene.form, scene.key)
    publisher = scene.publisher(rate, seconds)
    prober.start()
    samples = watch(scene, prober, publisher, store, seconds)
    assert publisher.stdout is not None
    said = json.loads(publisher.stdout.read())
    prober.stop_publishing()
    everything = said["sent"] + prober.sent
    drained = time.monotonic()
    try:
        wait_until(lambda: received(store) >= everything and not prober.waiting and settled(store), 120, live)
    except SystemExit:
        state = f"{received(store):,} of {everything:,} received, {prober.waiting} probes wait, exit code {live.poll()}"
        raise SystemExit(f"{state}; {samples}\n{scene.said()}") from None
    drained = time.monotonic() - drained
    check(scene, "before batch")
    live.send_signal(signal.SIGTERM)
    assert live.wait(300) == 0, scene.said()
    scene.tandem("backfill", "--definition", str(scene.definition))
    check(scene, "after batch")
    fresh = [value for at, value in prober.seconds if at >= warm_up]
    figures: dict[str, Any] = {f"freshness_{name}_s": value for name, value in percentiles(fresh).items()}
    figures |= {
        "events": everything,
        "rate_per_s": round(said["sent"] / said["seconds"]),
        "drained_s": round(drained, 2),
    }
    return figures | {"publisher_behind_s": round(said["behind_s"], 2), "probes": len(fresh), **samples}


def watch(
    scene: Scene, prober: Prober, publisher: subprocess.Popen[str], store: ViewStore, seconds: float
) -> dict[str, Any]:
    """Samples while the publisher runs, about a hundred, at most one a second."""
    names = {
        "publisher": publisher.pid,
        "emulator": scene.processes["emulator"].pid,
        "live": scene.processes["live"].pid,
    }
    prism = children(names["live"])
    names |= {"prism": prism[0]} if prism else {}
    begun, every = time.monotonic(), max(seconds / 300, 1.0)
    first = {name: usage(pid).cpu for name, pid in names.items()}
    series: dict[str, list[float]] = {"at_s": [], "backlog": [], **{f"{name}_mb": [] for name in names}}
    while publisher.poll() is None:
        time.sleep(every)
        series["at_s"].append(round(time.monotonic() - begun, 1))
        sent = scene.published() + prober.sent
        series["backlog"].append(max(sent - received(store), 0))
        for name, pid in names.items():
            series[f"{name}_mb"].append(round(usage(pid).memory, 1))
        if scene.processes["live"].poll() is not None:
            raise SystemExit(scene.said())
    lasted = time.monotonic() - begun
    cpu = {f"{name}_cores": round((usage(pid).cpu - first[name]) / lasted, 3) for name, pid in names.items()
           if name != "publisher"}  # fmt: skip
    return {**cpu, **series}


def check(scene: Scene, when: str) -> None:
    """Compare every answer with the published events, exactly."""
    with np.load(scene.folder / "counts.npz") as archive:
        starts, counts = archive["starts"], archive["counts"]
    place = {int(start): row for row, start in enumerate(starts)}
    found = np.zeros_like(counts)
    for answer in all_answers(open_store(scene.store), scene.compiled):
        value = json.loads(answer.key)[0]
        if str(value).startswith(PROBE_PAGE) or value == 9_999_999:
            continue
        found[place[answer.start], int(value[6:]) if scene.key == "page" else value - 1_100_000] += answer.events
    wrong = int((found != counts).sum())
    assert not wrong, f"{when}: {wrong} answers differ, {found.sum()} events instead of {counts.sum()}"


def measure_catch_up(scene: Scene, events: int) -> dict[str, Any]:
    """Journal events that batch doesn't have, kill live, and start it again."""
    live = scene.live()
    store = scene.opened(live)
    publisher = scene.publisher(1e9, 600, events)
    publisher.wait()
    wait_until(lambda: received(store) >= scene.published(), 300, live)
    os.killpg(live.pid, signal.SIGKILL)
    live.wait()
    before = store.publishing.served("clicks" if scene.key == "page" else "clicks_users")
    begun = time.monotonic()
    again = scene.live()
    name = before.name if before else ""
    serving = store.publishing
    wait_until(
        lambda: (now := serving.served(name)) is not None and before and now.live_run != before.live_run, 300, again
    )
    served = time.monotonic() - begun
    check(scene, "after catching up")
    return {"served_after_s": round(served, 2), "events": scene.published()}


def main() -> None:
    """Measure one case and record it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=20_000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--form", choices=("json", "avro"), default="json")
    parser.add_argument("--key", choices=("page", "user_id"), default="page")
    parser.add_argument("--freshness", default="500ms", help="the definition's setting")
    parser.add_argument("--lateness", default="1m", help="the definition's setting")
    parser.add_argument("--catch-up", type=int, metavar="N", help="events that are journaled and not in batch")
    parser.add_argument("--peer", choices=("beam",), help="measure Beam's own Pub/Sub read instead")
    parser.add_argument("--no-record", action="store_true")
    options, flags = parser.parse_known_args()
    settings = {"form": options.form, "key": options.key}
    with scene(Scene, **settings, freshness=options.freshness, lateness=options.lateness, flags=flags) as made:
        if options.peer:
            from benchmarks.live_runs.live_peer import measure_peer

            case: dict[str, str | int] = {"what": "peer", "engine": "beam ReadFromPubSub", "form": options.form}
            figures = measure_peer(made, options.seconds, 50_000)
        elif options.catch_up:
            case = {"what": "catch-up", **settings, "events": options.catch_up}
            figures = measure_catch_up(made, options.catch_up)
        else:
            case = {"what": "sustained", **settings, "rate": options.rate, "seconds": round(options.seconds)}
            figures = measure(made, options.rate, options.seconds)
    for name, value in figures.items():
        print(f"{name:<22} {value if not isinstance(value, list) else _short(value)}")
    if not options.no_record:
        record("live", [Row(case, figures)])


def _short(values: list[float]) -> str:
    return " ".join(f"{value:g}" for value in values[:: max(len(values) // 12, 1)])


if __name__ == "__main__":
    main()
