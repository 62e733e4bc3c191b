"""Names, keys, paths and texts that nobody means well with: every command refuses them in one line, or takes them.

In process, each command once for each of its words: a new flag is tried without being listed here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
import typer
from processes.every_command import names
from samples.orders_home import Installation, serve_orders

from tandem.app import app

HOSTILE: Final[dict[str, str]] = {
    "nul": "a\0b",
    "no-utf-8": os.fsdecode(b"a\xff\xfeb"),
    "long": "x" * 5_000,
    "controls": "a\n\x1b]0;gone\x07b",
    "empty": "",
    "nul-in-url": "sqlite:///a\0b",
}
BASES: Final[dict[str, tuple[str, ...]]] = {
    "check": ("{file}",),
    "verify": ("{file}", "{data}", "--examples", "1"),
    "backtest": ("{file}", "{data}"),
    "deliver": ("orders", "--once"),
    "query": ("orders", "--key", "mill,EUR", "--window", "day", "--at", "2026-01-05T12:00"),
    "baselines": ("orders", "--key", "mill,EUR", "--season", "hour_of_day"),
    "export": ("orders", "--output", "export.csv"),
    "sql": ("SELECT * FROM orders",),
    "iceberg": ("orders", "--table", "shop.orders", "--warehouse", "lake"),
    "status": ("orders",),
    "publications": ("orders",),
    "drift": ("orders",),
    "receipts": ("orders",),
    "diff": ("orders", "{file}"),
    "monitoring": ("monitoring",),
    "doctor": (),
    "promote": ("{file}",),
    "roll-back": ("orders", "1"),
    "drop": ("nothing",),
    "prune": ("orders", "--dry-run"),
    "compact": ("orders", "--dry-run"),
    "private": (),
    "seal": (),
    "stop": (),
    "deadletters list": ("orders",),
    "deadletters show": ("orders", "x/0#1"),
    "deadletters drop": ("orders", "--yes"),
    "keys create": ("reports",),
    "keys list": (),
    "keys revoke": ("reports",),
    "alerts list": ("orders",),
    "alerts show": ("orders", "7d14a36b"),
    "alerts ack": ("orders", "7d14a36b"),
    "alerts silence": ("orders", "--rule", "busy", "--for", "2h"),
    "alerts report": ("orders",),
    "results list": ("orders",),
    "results show": ("orders", "hourly", "--at", "2026-01-05T09:00", "--key", "home"),
    "results send": ("orders",),
    "results dead": ("orders",),
    "results retry": ("orders",),
    "results schema": ("orders", "hourly"),
    "store grant": ("live", "tandem-live"),
    "store migrate": (),
    "template flex build": ("live", "--to", "live.json"),
    "template flex describe": ("live",),
    "template definition": ("{file}", "--to", "one.yaml"),
    "flink status": (),
    "flink savepoint": ("000001-5f",),
    "flink stop-job": ("000001-5f",),
}
"""By command words with which it does something in a home where `orders` is served."""
_PIPELINE: Final = "runs a pipeline where its words are taken: tried by tests of its flags"
_SERVICE: Final = "asks another's service where its words are taken"
NOT_TRIED: Final[dict[str, str]] = {
    "serve": "goes on until it is ended: tests/serving/test_hostile_requests.py asks it",
    "emulator": "goes on until it is ended: the names of its topics are tried in tests/emulator",
    "rebuild": "takes the place of the store",
    "flink start": "starts processes",
    "live": _PIPELINE,
    "backfill": _PIPELINE,
    "publish": _PIPELINE,
    "windowed": _PIPELINE,
    "plan": _PIPELINE,
    "reconcile": _PIPELINE,
    "template flex run": _SERVICE,
    "template classic build": _SERVICE,
    "bigquery": _SERVICE,
    "pubsub create-topic": _SERVICE,
    "pubsub create-subscription": _SERVICE,
    "results register": _SERVICE,
    "results table": _SERVICE,
    "deadletters replay": _PIPELINE,
    "flink stop": "ends processes",
}


def with_words(command: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """By name of an argument or option the command line in which `!` is its value."""
    base = BASES[command]
    loaded: Any = typer.main.get_command(app)
    for name in command.split():
        loaded = loaded.commands[name]
    at = 0
    for parameter in loaded.params:
        if isinstance(parameter, click.Argument):
            yield str(parameter.name), (*base[:at], "!", *base[at + 1 :])
            at += 1
        elif not getattr(parameter, "is_flag", False) and not getattr(parameter, "count", False):
            yield parameter.opts[0], (*base, f"{parameter.opts[0]}=!")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("hostile"))
    serve_orders(made)
    (made.home.parent / "data.jsonl").write_text("no event\n", encoding="utf-8")
    yield made
    made.store.close()


def test_every_command_is_tried() -> None:
    assert {*BASES, *NOT_TRIED} == set(names())
    assert not {*BASES} & {*NOT_TRIED}


@pytest.mark.parametrize("command", BASES)
def test_hostile_words(served: Installation, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("PUBSUB_EMULATOR_HOST", "TANDEM_HOME"):
        monkeypatch.delenv(variable, raising=False)
    known = {"file": str(served.file), "data": str(served.home.parent / "data.jsonl")}
    wrong = []
    for word, line in with_words(command):
        for kind, value in HOSTILE.items():
            words = [value if each == "!" else each.replace("!", value).format_map(known) for each in line]
            fault = fault_of(served.run(*command.split(), *words))
            wrong += [f"{word} {kind}: {fault}"] if fault else []
    assert not wrong, "\n".join(wrong)


def fault_of(result: Any) -> str | None:
    """What is wrong with how a command ended; None if it was taken, or refused in one line."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return repr(result.exception)
    if "Traceback" in result.output or "fault of Tandem" in result.output:
        return str(result.output[-400:])
    if re.search("[\x00-\x09\x0b-\x1f\x7f]", result.stderr):
        return f"unshown characters: {result.stderr!r}"
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    if result.exit_code not in (0, 1) and (result.exit_code, len(errors)) != (2, 1):
        return f"{result.exit_code}: {result.output[-400:]!r}"
    return None if result.exit_code != 1 or len(errors) <= 1 else f"{errors}"
