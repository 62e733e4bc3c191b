"""Beam's own Pub/Sub read, as its documentation teaches it, on the same emulator: `benchmarks.live --peer beam`.

`ReadFromPubSub` runs on no local runner but the old bundle-based one (elsewhere only on Dataflow); it pulls ten
messages at a time and acknowledges before anything is processed. The job is the same: a minute and page, count, sum,
mean, least and most of amount; no duplicates are removed, nothing is journaled, nothing is served. The figure counts
the read's output for some seconds, with messages waiting all the time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.transforms import window

from benchmarks.live_runs.scene import ROOT, Scene

__all__ = ["main", "measure_peer", "run_job"]

_READ = [0]


def measure_peer(made: Scene, seconds: float, messages: int) -> dict[str, Any]:
    """Publish, then run the job for some seconds in a separate process."""
    made.publisher(1e9, 600, messages).wait()
    # not as the main module: functions of that are sent to workers as copies, with a counter of their own
    start = "from benchmarks.live_runs.live_peer import main; main()"
    command = [sys.executable, "-c", start, "--job", made.subscription, "--seconds", str(seconds)]
    found = subprocess.run(command, env=made.environment, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return figures


def run_job(subscription: str, seconds: float) -> None:
    """Run the job; prints the messages a second that it has read after the first, and ends the process."""
    threading.Thread(target=_end_after, args=(seconds,), daemon=True).start()
    options = PipelineOptions(["--streaming", "--allow_unsafe_triggers"])
    with beam.Pipeline(runner=BundleBasedDirectRunner(), options=options) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromPubSub(subscription=subscription)
            | beam.Map(_counted)
            | beam.Map(lambda event: window.TimestampedValue(event, event["event_time"] / 1e6))
            | beam.WindowInto(window.FixedWindows(60))
            | beam.Map(lambda event: (event["page"], event["amount"]))
            | beam.GroupByKey()
            | beam.MapTuple(lambda page, amounts: (page, _summary(list(amounts))))
        )


def _counted(message: bytes) -> dict[str, Any]:
    _READ[0] += 1
    event: dict[str, Any] = json.loads(message)
    return event


def _summary(amounts: list[float]) -> tuple[int, float, float, float, float]:
    return len(amounts), sum(amounts), sum(amounts) / len(amounts), min(amounts), max(amounts)


def _end_after(seconds: float) -> None:
    while not _READ[0]:
        time.sleep(0.05)
    first, begun, cpu = _READ[0], time.monotonic(), time.process_time()
    time.sleep(seconds)
    lasted, read = time.monotonic() - begun, _READ[0] - first
    cores = (time.process_time() - cpu) / lasted
    print(json.dumps({"read_per_s": round(read / lasted, 1), "read": read, "live_cores": round(cores, 3)}), flush=True)
    os._exit(0)


def main() -> None:
    """Run the job in a separate process; `python -m benchmarks.live --peer beam` measures it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", metavar="SUBSCRIPTION", required=True)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    run_job(options.job, options.seconds)
