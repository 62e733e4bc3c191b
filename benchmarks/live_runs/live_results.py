"""How soon results reach a subscriber while live is busy: `python -m benchmarks.live_runs.live_results --rate 20000`.

The scene is that of `benchmarks.live`; the definition has a result of a minute, early every `--early`, and one of the
last hour every minute, both to a topic of the same emulator. A probe is published every 100 ms with its own key; it
has arrived when a subscriber gets the first revision of its minute that counts it. So the time is from publishing the
event to receiving a result that has it, triggers included. `counted_s`: from the publisher's end until live has counted
all events; `drained_s`: until all probes' results have arrived.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.pubsub_v1.types import AcknowledgeRequest, PullRequest, PullResponse

from benchmarks.live import check
from benchmarks.live_runs.live_watching import received, settled
from benchmarks.live_runs.probes import PROBE_PAGE, Probes, method_of, percentiles
from benchmarks.live_runs.scene import Scene, scene, wait_until
from benchmarks.measuring.results import report
from tandem.schemas.time.instants import instant_of

__all__ = ["Receiver", "ResultScene", "main", "measure"]

_TOPIC: Final = "projects/benchmark/topics/results"
_SUBSCRIPTION: Final = "projects/benchmark/subscriptions/results"
_RESULTS: Final = """
results:
  per_minute: {{window: 1m, trigger: {{early: {early}}}, to: {{pubsub: {topic}}}}}
  last_hour: {{window: {{size: 1h, every: 1m}}, keys: 1000, to: {{pubsub: {topic}}}}}
"""


@dataclass
class ResultScene(Scene):
    """A scene whose definition sends results."""

    early: str = "500ms"

    def set_up(self) -> None:
        super().set_up()
        text = self.definition.read_text() + _RESULTS.format(early=self.early, topic=_TOPIC)
        self.definition.write_text(text)
        self.tandem("pubsub", "create-topic", _TOPIC)
        self.tandem("pubsub", "create-subscription", _SUBSCRIPTION, "--topic", _TOPIC)


class Receiver(Probes):
    """Receives all results; a probe has arrived once a revision of its minute counts it."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.address, scene.topic)
        self.results = 0
        self._end = threading.Event()

    def end(self) -> None:
        """Stop receiving."""
        self._end.set()
        self._threads[1].join()

    def _look(self) -> None:
        pull = method_of(self._address, "Subscriber/Pull", PullRequest, PullResponse)
        acknowledge = method_of(self._address, "Subscriber/Acknowledge", AcknowledgeRequest)
        request = PullRequest.pb()(subscription=_SUBSCRIPTION, max_messages=1_000)
        mine = f'"{PROBE_PAGE}"'.encode()
        while not self._end.is_set():
            try:
                found = pull(request, timeout=2).received_messages
            except grpc.RpcError:  # nothing came
                continue
            if not found:
                continue
            now = time.monotonic()
            self.results += len(found)
            for each in found:
                if mine in each.message.data:
                    result = json.loads(each.message.data)
                    if result["result"] == "per_minute":
                        self._note(instant_of(result["start"]), result["events"], now)
            ids = [each.ack_id for each in found]
            acknowledge(AcknowledgeRequest.pb()(subscription=_SUBSCRIPTION, ack_ids=ids))


def measure(scene: ResultScene, rate: float, seconds: float, warm_up: float) -> dict[str, Any]:
    """Publish at a rate and receive; returns figures. Raises AssertionError for a wrong answer."""
    live = scene.live()
    store = scene.opened(live)
    receiver = Receiver(scene)
    publisher = scene.publisher(rate, seconds)
    receiver.start()
    assert publisher.stdout is not None
    said = json.loads(publisher.stdout.read())
    receiver.stop_publishing()
    everything, ended = said["sent"] + receiver.sent, time.monotonic()
    wait_until(lambda: received(store) >= everything and settled(store), 120, live)
    counted = time.monotonic() - ended
    wait_until(lambda: not receiver.waiting, 120, live)
    drained = time.monotonic() - ended
    check(scene, "before batch")
    receiver.end()
    live.send_signal(signal.SIGTERM)
    assert live.wait(300) == 0, scene.said()
    times = [value for at, value in receiver.seconds if at >= warm_up]
    rates = {"rate_per_s": round(said["sent"] / said["seconds"]), "results": receiver.results}
    figures = {f"received_{name}_s": value for name, value in percentiles(times).items()}
    return {**figures, **rates, "probes": len(times), "counted_s": round(counted, 2), "drained_s": round(drained, 2)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one case, print and record it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=20_000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=20, help="seconds whose probes don't count")
    parser.add_argument("--early", default="500ms", help="of the result of a minute")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args(arguments)
    with scene(ResultScene, early=options.early) as made:
        figures = measure(made, options.rate, options.seconds, options.warm_up)
    case = {"rate": options.rate, "seconds": round(options.seconds), "early": options.early}
    report("live_results", case, figures, keep=not options.no_record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
