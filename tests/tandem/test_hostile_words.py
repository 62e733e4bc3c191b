"""Names, keys, paths and texts that nobody means well with: every command refuses them in one line, or takes them.

In process, each command once for each of its words: a new flag is tried without being listed here. What a command would
start is replaced by an error at the last moment: a pipeline's run, a server's loop, the processes of a Flink.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import apache_beam as beam
import click
import pytest
import typer
import uvicorn
from processes.emulated import make
from processes.every_command import names
from samples.orders_home import Installation, serve_orders

from tandem.app import app
from tandem.emulator.server import EmbeddedPubSub
from tandem.runners.flink.cluster import Cluster
from tandem.runners.options.flags.table import flags_of
from tandem.schemas.errors import LaunchError

TOPIC, SUBSCRIPTION = "projects/demo/topics/orders", "projects/demo/subscriptions/orders"
HOSTILE: Final[dict[str, str]] = {
    "nul": "a\0b",
    "no-utf-8": os.fsdecode(b"a\xff\xfeb"),
    "long": "x" * 5_000,
    "controls": "a\n\x1b]0;gone\x07b",
    "empty": "",
    "nul-in-url": "sqlite:///a\0b",
}
WITHIN: Final[dict[str, tuple[str, ...]]] = {
    "topic": ("projects/demo/topics/{}",),
    "output-topic": ("projects/demo/topics/{}",),
    "dead-letter-topic": ("projects/demo/topics/{}",),
    "subscription": ("projects/demo/subscriptions/{}", "projects/{}/subscriptions/orders"),
    "name": ("projects/demo/topics/{}", "projects/demo/subscriptions/{}"),
    "schema": ("projects/demo/schemas/{}",),
    "table": ("demo.shop.{}", "{}.shop.orders"),
    "to": ("gs://bucket/{}", "gs://{}/template"),
    "staging_location": ("gs://bucket/{}", "gs://{}/staging"),
}
"""By word the forms of names in which some of these are tried, too."""
TOLD: Final = """
results:
  hourly: {window: 1h, to: [log, {pubsub: projects/demo/topics/told, format: avro}, {bigquery: demo-1.shop.hourly}]}
"""
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
    "bigquery": ("orders", "--table", "demo.shop.orders"),
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
    "deadletters replay": ("orders", "--topic", TOPIC),
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
    "results register": ("{told}", "hourly", "--schema", "projects/demo/schemas/hourly"),
    "results table": ("{told}", "hourly", "--create"),
    "store grant": ("live", "tandem-live"),
    "store migrate": (),
    "template flex build": ("live", "--to", "live.json"),
    "template flex describe": ("live",),
    "template flex run": (
        "backfill", "--template", "gs://b/t.json", "--project", "demo", "--region", "europe-west4", "--show",
        "--definition=gs://b/orders.yaml", "--files=gs://b/day.jsonl",
    ),
    "template definition": ("{file}", "--to", "one.yaml"),
    "pubsub create-topic": ("projects/demo/topics/more",),
    "pubsub create-subscription": ("projects/demo/subscriptions/more", "--topic", TOPIC),
    "flink start": ("--home", "{fresh}"),
    "flink status": (),
    "flink stop": (),
    "flink savepoint": ("000001-5f",),
    "flink stop-job": ("000001-5f",),
    "serve": ("--port", "0"),
    "emulator": ("--port", "0"),
    "rebuild": ("{file}", "--files", "{data}", "--home", "{fresh}"),
    "live": ("--definition", "{file}", "--subscription", SUBSCRIPTION, "--home", "{fresh}"),
    "publish": ("--definition", "{file}", "--files", "{good}", "--topic", TOPIC),
    "windowed": ("--definition", "{file}", "--files", "{data}", "--window", "1h", "--output", "{fresh}"),
    "backfill": ("--definition", "{file}", "--files", "{good}", "--home", "{fresh}"),
    "plan": ("backfill", "--definition", "{file}", "--files", "{good}", "--home", "{fresh}"),
    "reconcile": ("{file}",),
    "template classic build": (
        "backfill", "--to", "{fresh}", "--project=demo", "--region=europe-west4", "--staging_location=gs://bucket/staging",
    ),
}  # fmt: skip
"""By command words with which it does something in a home where `orders` is served."""
LONG: Final = ("rebuild", "live", "publish", "windowed", "backfill", "plan", "reconcile")
"""About a minute each: left to `make processes`."""
PIPELINES: Final[dict[str, str]] = {
    "template flex run": "backfill", "live": "live", "publish": "publish", "windowed": "windowed",
    "backfill": "backfill", "plan": "backfill", "reconcile": "reconcile",
}  # fmt: skip
"""By command the pipeline whose flags it takes."""
OF_BEAM: Final = ("runner", "flink_master", "job_name", "temp_location")
OF_DATAFLOW: Final = ("project", "region", "staging_location", "temp_location", "job_name", "num_workers")


def with_words(command: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """By name of an argument or option the command line in which `!` is its value."""
    base, taken = BASES[command], set[str]()
    loaded: Any = typer.main.get_command(app)
    for name in command.split():
        loaded = loaded.commands[name]
    at = 0
    for parameter in loaded.params:
        if isinstance(parameter, click.Argument):
            yield str(parameter.name), (*base[:at], "!", *base[at + 1 :])
            at += 1
        elif not getattr(parameter, "is_flag", False) and not getattr(parameter, "count", False):
            taken.add(parameter.opts[0])
            yield parameter.opts[0], (*base, f"{parameter.opts[0]}=!")
    if command in PIPELINES:
        flags = [flag.name for flag in flags_of(PIPELINES[command]) if not flag.switch]
        for name in (*flags, *OF_BEAM):
            if f"--{name}" not in taken:
                yield f"--{name}", (*base, f"--{name}=!")
    if command == "template classic build":
        yield from ((f"--{name}", (*base, f"--{name}=!")) for name in OF_DATAFLOW)


def hostile(word: str) -> Iterator[tuple[str, str]]:
    """(kind, value) of what is tried as this word."""
    yield from HOSTILE.items()
    for form in WITHIN.get(word.lstrip("-"), ()):
        yield from ((f"{kind}-in-{form}", form.format(HOSTILE[kind])) for kind in ("nul", "no-utf-8", "controls"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("hostile"))
    serve_orders(made)
    beside = made.home.parent
    (beside / "data.jsonl").write_text("no event\n", encoding="utf-8")
    good = '{"id": "1", "at": 1767600000000000, "shop": "mill", "currency": "EUR", "amount": 1.5}\n'
    (beside / "good.jsonl").write_text(good, encoding="utf-8")
    (beside / "told.yaml").write_text(made.text + TOLD, encoding="utf-8")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def pubsub() -> Iterator[str]:
    with EmbeddedPubSub() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        make(TOPIC, SUBSCRIPTION)
        yield server.address


class _Known(dict[str, str]):
    """Values of the words of BASES; `fresh` is a path below the folder where nothing is yet, another one each time."""

    def __init__(self, beside: Path, folder: Path) -> None:
        files = {"file": "orders.yaml", "data": "data.jsonl", "good": "good.jsonl", "told": "told.yaml"}
        super().__init__({name: str(beside / file) for name, file in files.items()})
        self._folder, self._count = folder, 0

    def __missing__(self, name: str) -> str:
        assert name == "fresh"
        self._count += 1
        return str(self._folder / f"fresh-{self._count}")


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What would be started is refused, and what would be asked elsewhere has no credentials."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise LaunchError("nothing is started here")

    monkeypatch.setattr(beam.Pipeline, "run", refuse)
    monkeypatch.setattr(uvicorn.Server, "run", lambda *arguments, **options: None)
    monkeypatch.setattr("tandem.emulator.server._signals", lambda: nullcontext(["ended"]))
    monkeypatch.setattr("tandem.runners.flink.cluster.provide", lambda note: SimpleNamespace())
    monkeypatch.setattr(Cluster, "_spawn_missing", refuse)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("TANDEM_FLINK_HOME", str(tmp_path / "flink"))
    for variable in ("GOOGLE_APPLICATION_CREDENTIALS", "BIGQUERY_EMULATOR_HOST", "TANDEM_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-credentials"))
    monkeypatch.chdir(tmp_path)


def test_every_command_is_tried() -> None:
    assert {*BASES} == set(names())


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "command", [pytest.param(each, marks=[pytest.mark.slow] if each in LONG else []) for each in BASES]
)
@pytest.mark.usefixtures("nothing_starts")
def test_hostile_words(served: Installation, pubsub: str, command: str, tmp_path: Path) -> None:
    known, wrong = _Known(served.home.parent, tmp_path), []
    for word, line in with_words(command):
        for kind, value in hostile(word):
            fault = fault_of(served.run(*command.split(), *_words(line, value, known)))
            wrong += [f"{word} {kind}: {fault}"] if fault else []
    assert not wrong, "\n".join(wrong)


def _words(line: Sequence[str], value: str, known: Mapping[str, str]) -> list[str]:
    return [each.replace("!", value) if "!" in each else each.format_map(known) for each in line]


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
