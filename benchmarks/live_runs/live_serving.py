"""How fast `tandem serve` answers while live is busy: `python -m benchmarks.live_runs.live_serving --rate 20000`.

The scene is that of `benchmarks.live`, with a server beside it. First point answers of random keys' newest minute are
asked for at a pace, by several connections of another process; then, at another pace, with the ETag of the answer
before. A request that isn't answered when the next of its connection is due counts from when it was due.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

from benchmarks.live import check
from benchmarks.live_runs.live_watching import received, settled, usage
from benchmarks.live_runs.probes import percentiles
from benchmarks.live_runs.scene import Scene, scene, wait_until
from benchmarks.measuring.results import report

__all__ = ["ask", "main", "measure"]

_PATH: Final = "/api/v1/definitions/clicks/answer?window=1m&at={at}&key="


def ask(address: str, pace: float, seconds: float, *, connections: int, revalidate: bool, at: str) -> dict[str, Any]:
    """Send requests at a pace (a second, over all connections); returns the seconds of each answer and counts by status
    code.
    """
    times, codes, lock = list[float](), Counter[int](), threading.Lock()

    def one(number: int) -> None:
        mine, seen = _asked(address, pace / connections, seconds, random.Random(number), revalidate=revalidate, at=at)
        with lock:
            times.extend(mine)
            codes.update(seen)

    begun = time.monotonic()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lasted = time.monotonic() - begun
    named = {str(code): count for code, count in sorted(codes.items())}
    return {
        "per_s": round(len(times) / lasted),
        "lasted_s": round(lasted, 1),
        "codes": json.dumps(named),
        **{f"{name}_s": value for name, value in percentiles(times).items()},
    }


def _asked(
    address: str, pace: float, seconds: float, chance: random.Random, *, revalidate: bool, at: str
) -> tuple[list[float], Counter[int]]:
    where, times, codes, tags = urlsplit(address), list[float](), Counter[int](), dict[str, str]()
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
    due, end = time.perf_counter(), time.perf_counter() + seconds
    while due < end:
        time.sleep(max(due - time.perf_counter(), 0))
        path = _PATH.format(at=quote(at)) + quote(f"/page/{chance.randrange(100):04d}", safe="")
        headers = {"If-None-Match": tags[path]} if revalidate and path in tags else {}
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        reply.read()
        times.append(time.perf_counter() - due)
        codes[reply.status] += 1
        tags[path] = reply.getheader("ETag", "")
        due += 1 / pace
    connection.close()
    return times, codes


def _asking(scene: Scene, address: str, pace: float, seconds: float, *, revalidate: bool, at: str) -> dict[str, Any]:
    """Call `ask` in a separate process."""
    words = ["--ask", address, "--pace", str(pace), "--seconds", str(seconds), "--at", at]
    words += ["--revalidate"] if revalidate else []
    asker = scene.spawn("asker", [sys.executable, "-m", __spec__.name, *words], subprocess.PIPE)
    found: dict[str, Any] = json.loads(asker.communicate()[0])
    return found


def measure(scene: Scene, rate: float, seconds: float, pace: float, revalidations: float) -> dict[str, Any]:
    """Publish at a rate and query; returns figures. Raises AssertionError for a wrong answer."""
    live = scene.live()
    store = scene.opened(live)
    server = scene.start("serve", "serve", "--port", "0", stdout=subprocess.PIPE)
    assert server.stdout is not None
    address = server.stdout.readline().removeprefix("serving at ").strip()
    publisher = scene.publisher(rate, 2 * seconds + 20)
    wait_until(lambda: received(store) > 5 * rate, 120, live)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    before = usage(server.pid)
    answers = _asking(scene, address, pace, seconds, revalidate=False, at=at)
    between = usage(server.pid)
    repeated = _asking(scene, address, revalidations, seconds, revalidate=True, at=at)
    after = usage(server.pid)
    assert publisher.stdout is not None
    said = json.loads(publisher.stdout.read())
    assert {*json.loads(answers["codes"])} == {"200"}, answers
    wait_until(lambda: received(store) >= said["sent"] and settled(store), 120, live)
    check(scene, "before batch")
    for process in (live, server):
        process.send_signal(signal.SIGTERM)
        process.wait(300)
    costs = {"answer_server_cores": round((between.cpu - before.cpu) / answers["lasted_s"], 2)}
    costs |= {"etag_server_cores": round((after.cpu - between.cpu) / repeated["lasted_s"], 2)}
    costs |= {"server_mb": round(after.memory), "rate_per_s": round(said["sent"] / said["seconds"])}
    named = {"answer": answers, "etag": repeated}
    return {f"{name}_{which}": value for name, each in named.items() for which, value in each.items()} | costs


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one case, print and record it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=20_000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=20, help="of each kind of question")
    parser.add_argument("--pace", type=float, default=500, help="answers asked for a second")
    parser.add_argument("--revalidations", type=float, default=2_000, help="asked for a second with an ETag")
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--ask", metavar="ADDRESS", help=argparse.SUPPRESS)
    parser.add_argument("--at", help=argparse.SUPPRESS)
    parser.add_argument("--revalidate", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.ask:
        asked = {"connections": 8, "revalidate": options.revalidate, "at": options.at}
        print(json.dumps(ask(options.ask, options.pace, options.seconds, **asked)))
        return 0
    with scene(Scene) as made:
        figures = measure(made, options.rate, options.seconds, options.pace, options.revalidations)
    case = {"rate": options.rate, "pace": round(options.pace), "revalidations": round(options.revalidations)}
    report("live_serving", case, figures, keep=not options.no_record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
