"""How soon alerts reach a webhook while live is busy: `python -m benchmarks.live_runs.live_alerts --rate 20000`.

The scene is that of `benchmarks.live`, with twenty rules over its 1,000 keys. A probe is published every 100 ms, with a
key of its own and an amount that one of the rules fires at; the others compare minutes with those before. A probe has
arrived when the webhook, in this process, gets the alert of its key. So the time is from publishing the event to
receiving the alert, `early` of the rule included.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.live import check
from benchmarks.live_runs.live_watching import received, settled, usage
from benchmarks.live_runs.probes import PROBE_PAGE, Probes, percentiles
from benchmarks.live_runs.scene import Scene, scene, wait_until
from benchmarks.measuring.results import report

__all__ = ["AlertProbes", "AlertScene", "Webhook", "main", "measure", "rules_text"]

_ALARMING: Final = 1e7
"""An amount that no other event has."""


def rules_text(number: int, early: str, url: str) -> str:
    """`number` rules as YAML: one that probes fire, the others with baselines of five minutes each."""
    to = f"{{webhook: {{url: '{url}', allow: 127.0.0.1}}}}"
    lines = ["rules:", f"  alarming: {{window: 1m, expr: most > 1000000, early: {early}, to: {to}}}"]
    for at in range(number - 1):
        value = ("events", "amount", "mean", "users")[at % 4]
        baseline = f"{{season: none, statistic: mean, periods: 5, min_periods: 2, band: {3 + at // 4}}}"
        expr = f"{value} > baseline.{value}.high"
        lines.append(f"  unusual_{at}: {{window: 1m, expr: {expr}, baseline: {baseline}, early: {early}, to: {to}}}")
    return "\n".join(lines) + "\n"


@dataclass
class AlertScene(Scene):
    """A scene whose definition has rules."""

    rules: int = 20
    early: str = "500ms"
    url: str = ""

    def set_up(self) -> None:
        super().set_up()
        self.definition.write_text(self.definition.read_text() + rules_text(self.rules, self.early, self.url))


class Webhook(ThreadingHTTPServer):
    """Receives alerts at `url`, once it serves; `take` gets each, with its monotonic time."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiving)
        self.url = f"http://127.0.0.1:{self.server_port}/alerts"
        self.take: Callable[[dict[str, Any], float], None] = lambda alert, now: None


class _Receiving(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Webhook

    def do_POST(self) -> None:
        alert = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.take(alert, time.monotonic())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class AlertProbes(Probes):
    """Publishes probes with a key each; one has arrived once the webhook has the alert of its key."""

    def __init__(self, address: str, topic: str, webhook: Webhook) -> None:
        super().__init__(address, topic)
        self.alerts, self._webhook = 0, webhook
        webhook.take = self._take

    def _take(self, alert: dict[str, Any], now: float) -> None:
        self.alerts += 1
        page = alert["key"]["page"]
        if alert["rule"] == "alarming" and page.startswith(PROBE_PAGE):
            self._note(int(page.rpartition("/")[2]), 1, now)

    def _place(self, number: int, now: int) -> int:
        return number

    def _event(self, number: int, now: int) -> dict[str, Any]:
        return {**super()._event(number, now), "page": f"{PROBE_PAGE}/{number}", "amount": _ALARMING}

    def _look(self) -> None:
        self._webhook.serve_forever()

    def end(self) -> None:
        """Stop receiving."""
        self._webhook.shutdown()


def measure(scene: AlertScene, webhook: Webhook, rate: float, seconds: float, warm_up: float) -> dict[str, Any]:
    """Publish at a rate and receive; returns figures. Raises AssertionError for a wrong answer."""
    live = scene.live()
    store = scene.opened(live)
    probes = AlertProbes(scene.address, scene.topic, webhook)
    publisher = scene.publisher(rate, seconds)
    begun, cpu = time.monotonic(), usage(live.pid).cpu
    probes.start()
    assert publisher.stdout is not None
    said = json.loads(publisher.stdout.read())
    cores = (usage(live.pid).cpu - cpu) / (time.monotonic() - begun)
    probes.stop_publishing()
    everything = said["sent"] + probes.sent
    wait_until(lambda: received(store) >= everything and settled(store) and not probes.waiting, 120, live)
    check(scene, "before batch")
    live.send_signal(signal.SIGTERM)
    assert live.wait(300) == 0, scene.said()
    probes.end()
    times = [value for at, value in probes.seconds if at >= warm_up]
    figures = {f"received_{name}_s": value for name, value in percentiles(times).items()}
    rates = {"rate_per_s": round(said["sent"] / said["seconds"]), "live_cores": round(cores, 2)}
    return {**figures, **rates, "alerts": probes.alerts, "probes": len(times)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one case, print and record it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=20_000, help="messages a second")
    parser.add_argument("--rules", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=20, help="seconds whose probes don't count")
    parser.add_argument("--early", default="500ms", help="of the rules")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args(arguments)
    with Webhook() as webhook, scene(AlertScene, rules=options.rules, early=options.early, url=webhook.url) as made:
        figures = measure(made, webhook, options.rate, options.seconds, options.warm_up)
    case = {"rate": options.rate, "rules": options.rules, "seconds": round(options.seconds), "early": options.early}
    report("live_alerts", case, figures, keep=not options.no_record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
