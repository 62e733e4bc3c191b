"""Commands that end by themselves, without a runner of their own, run one after the other in one process with umask 0.

`python -m processes.every_command FOLDER` does it, and prints a line of JSON for each: its exit code, and what it
started.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from processes.listening import listening
from tandem.command_list.commands import COMMANDS
from tandem.command_list.entry import Entry

__all__ = ["BEFORE", "QUIET", "names"]

EXAMPLE: Final = Path(__file__).parents[3] / "examples" / "clicks"
TOLD: Final = """
results:
  per_minute: {window: 1m, to: [log, {files: sent}]}
rules:
  busy: {window: 1m, expr: clicks >= params.least, params: {least: 1}, to: [log, {files: alerted}]}
"""
IMAGE: Final = f"europe-docker.pkg.dev/demo/tandem/live@sha256:{'1' * 64}"
_BACKFILL: Final = ("backfill", "--complete-until", "2026-01-05", "--max-bad", "100%", "--layer-threshold", "0")
BEFORE: Final[tuple[tuple[str, ...], ...]] = (
    (*_BACKFILL, "--definition", "clicks.yaml", "--files", "0.jsonl"),
    (*_BACKFILL, "--definition", "clicks.yaml", "--files", "1.jsonl"),
    (*_BACKFILL, "--definition", "two.yaml", "--files", "[01].jsonl", "--no-publish"),
    ("windowed", "--definition", "clicks.yaml", "--files", "0.jsonl", "--window", "1h", "--output", "windowed"),
)
"""What the home is made by, and what starts something all the same; not held to be quiet."""
_MOMENT: Final = "2026-01-04T21:05"
QUIET: Final[dict[str, tuple[str, ...]]] = {
    "check": ("clicks.yaml",),
    "backtest": ("clicks.yaml", "0.jsonl", "--sweep", "least=1:3:3", "--plot", "sweep.svg"),
    "plan": ("backfill", "--definition", "clicks.yaml", "--files", "0.jsonl", "--save", "graph.json"),
    "baselines": ("clicks", "--key", "home", "--season", "hour_of_day", "--plot", "baselines.html"),
    "query": ("clicks", "--key", "home", "--at", _MOMENT, "--window", "1m", "--explain"),
    "export": ("clicks", "--format", "parquet", "--output", "export.parquet"),
    "sql": ("SELECT * FROM clicks", "--format", "csv", "--output", "sql.csv"),
    "iceberg": ("clicks", "--table", "shop.clicks", "--warehouse", "lake"),
    "status": ("clicks",),
    "publications": ("clicks",),
    "reconcile": ("clicks.yaml",),
    "drift": ("clicks", "--html", "drift.html"),
    "receipts": ("clicks",),
    "diff": ("clicks", "two.yaml"),
    "monitoring": ("monitoring",),
    "doctor": (),
    "deliver": ("clicks", "--once"),
    "alerts list": ("clicks",),
    "alerts show": ("clicks", "{alert}"),
    "alerts ack": ("clicks", "{alert}", "--by", "me"),
    "alerts silence": ("clicks", "--rule", "busy", "--for", "2h", "--by", "me"),
    "alerts report": ("clicks",),
    "results list": ("clicks",),
    "results show": ("clicks", "per_minute", "--at", _MOMENT, "--key", "home"),
    "results send": ("clicks",),
    "results dead": ("clicks",),
    "results retry": ("clicks",),
    "results schema": ("clicks", "per_minute"),
    "deadletters list": ("clicks",),
    "deadletters show": ("clicks", "{letter}"),
    "deadletters drop": ("clicks", "--yes"),
    "promote": ("two.yaml",),
    "roll-back": ("clicks", "2"),
    "drop": ("two.yaml",),
    "compact": ("clicks",),
    "prune": ("clicks",),
    "store migrate": (),
    "private": (),
    "keys create": ("reports",),
    "keys list": (),
    "keys revoke": ("{api_key}",),
    "template flex build": ("live", "--image", IMAGE, "--to", "live.json"),
    "template flex describe": ("live",),
    "template definition": ("clicks.yaml", "--to", "one.yaml"),
}
"""By command the words after it, in an order in which each finds what it needs."""
_STARTS: Final = frozenset(
    {"socket.bind", "socket.listen", "subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"}
)


def names(entries: Sequence[Entry] = COMMANDS, above: str = "") -> Iterator[str]:
    """Of all commands, those of groups with the group's."""
    for entry in entries:
        if entry.commands:
            yield from names(entry.commands, f"{above}{entry.name} ")
        else:
            yield above + entry.name


class _Started:
    """What Python starts while it is told to look: processes, and sockets that are bound."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.looks = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.looks and event in _STARTS:
            self.seen.append(f"{event}{arguments}"[:300])


def main(folder: Path) -> None:
    """Run all of them in a folder that is empty."""
    _prepare(folder)
    started, held = _Started(), dict[str, str]()
    started.looks = True
    for words in BEFORE:
        code, said = _run(words)
        assert code == 0, f"{words}: {said}"
    print(json.dumps({"command": "", "started": started.seen}), flush=True)
    for name, rest in QUIET.items():
        held = held or _identities()
        started.seen, started.looks = [], True
        code, said = _run((*name.split(), *(word.format(**held) for word in rest)))
        started.looks = False
        at = [f"{one.where} {one.command}" for one in listening(os.getpid())]
        line = {"command": name, "code": code, "started": started.seen, "listening": at, "said": said[-500:]}
        print(json.dumps(line), flush=True)
        if name == "keys create":
            held["api_key"] = json.loads(Path("home/keys.json").read_text())["keys"][0]["id"]


def _prepare(folder: Path) -> None:
    os.chdir(folder)
    os.environ |= {"TANDEM_HOME": "home", "TMPDIR": str(folder / "scratch")}
    shutil.copy(EXAMPLE / "clicks.avsc", "clicks.avsc")
    text = (EXAMPLE / "clicks.yaml").read_text(encoding="utf-8") + TOLD
    Path("clicks.yaml").write_text(text, encoding="utf-8")
    Path("two.yaml").write_text(text.replace("least: {min:", "smallest: {min:"), encoding="utf-8")
    event = {"event_time": f"{_MOMENT}:00Z", "user_id": 1, "page": "home", "country": "DE", "amount": 1.0}
    for number, more in enumerate(("", "no event\n")):
        Path(f"{number}.jsonl").write_text(json.dumps({"event_id": f"e{number}", **event}) + "\n" + more)
    for path in folder.iterdir():
        path.chmod(0o600)
    Path("scratch").mkdir(mode=0o700)


def _run(words: tuple[str, ...]) -> tuple[int, str]:
    """(exit code, what was printed) of `tandem WORDS` in this process, whose umask lets everybody read and write."""
    os.umask(0)
    sys.argv = ["tandem", *words]
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            runpy.run_module("tandem", run_name="__main__")
        except SystemExit as end:
            code = end.code
    return int(code or 0), out.buffer.getvalue().decode()


def _identities() -> dict[str, str]:
    """Of an alert and a dead letter."""
    alerts = json.loads(_run(("alerts", "list", "clicks", "--json"))[1])
    letters = json.loads(_run(("deadletters", "list", "clicks", "--json"))[1])
    return {"alert": alerts[0]["id"], "letter": letters["letters"][0]["letter"]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
