"""The same mistake has the same exit code, and is one line, for every command: docs/reference/cli.md says which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from samples.orders_home import Installation, serve_orders

NAMED: Final[dict[str, tuple[str, ...]]] = {
    "query": ("query", "{name}", "--window", "1d"),
    "export": ("export", "{name}"),
    "status": ("status", "{name}"),
    "publications": ("publications", "{name}"),
    "receipts": ("receipts", "{name}"),
    "drift": ("drift", "{name}"),
    "diff": ("diff", "{name}"),
    "promote": ("promote", "{name}"),
    "roll-back": ("roll-back", "{name}", "1"),
    "drop": ("drop", "{name}"),
    "prune": ("prune", "{name}"),
    "reconcile": ("reconcile", "{name}"),
    "deliver": ("deliver", "{name}", "--once"),
    "results list": ("results", "list", "{name}"),
    "results show": ("results", "show", "{name}", "r", "--at", "2026-01-05"),
    "results send": ("results", "send", "{name}"),
    "results dead": ("results", "dead", "{name}"),
    "results retry": ("results", "retry", "{name}"),
    "deadletters list": ("deadletters", "list", "{name}"),
    "deadletters show": ("deadletters", "show", "{name}", "x#1"),
    "deadletters replay": ("deadletters", "replay", "{name}"),
    "deadletters drop": ("deadletters", "drop", "{name}", "--yes"),
}
"""Commands that ask a store by a definition's name or file."""
FILES: Final[dict[str, tuple[str, ...]]] = {
    "check": ("check", "{name}"),
    "verify": ("verify", "{name}", "x.jsonl"),
    "backfill": ("backfill", "--definition", "{name}", "--files", "x.jsonl"),
    "publish": ("publish", "--definition", "{name}", "--files", "x.jsonl", "--topic", "projects/p/topics/t"),
    "live": ("live", "--definition", "{name}", "--subscription", "projects/p/subscriptions/s"),
}
"""Commands that take a file."""
FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "query": ("query", "orders", "--window", "soon"),
    "query --top": ("query", "orders", "--window", "1d", "--top", "none"),
    "export": ("export", "orders", "--step", "soon"),
    "roll-back": ("roll-back", "orders", "first"),
    "promote": ("promote", "orders", "--wait", "soon"),
    "prune": ("prune", "orders", "--keep", "0"),
    "receipts": ("receipts", "orders", "first"),
    "deadletters list": ("deadletters", "list", "orders", "--limit", "0"),
    "deadletters list --since": ("deadletters", "list", "orders", "--since", "soon"),
    "results list": ("results", "list", "orders", "--most", "0"),
    "deliver": ("deliver", "orders", "--every", "soon"),
    "seal": ("seal", "--wait", "soon"),
    "stop": ("stop", "--wait", "soon"),
    "verify": ("verify", "{file}", "x.jsonl", "--examples", "none"),
    "backfill": ("backfill", "--definition", "{file}", "--publish-wait", "soon"),
    "live": (
        "live",
        "--definition",
        "{file}",
        "--subscription",
        "projects/p/subscriptions/s",
        "--idle-timeout",
        "soon",
    ),
    "publish": (
        "publish",
        "--definition",
        "{file}",
        "--files",
        "x",
        "--topic",
        "projects/p/topics/t",
        "--speed",
        "fast",
    ),
    "emulator": ("emulator", "--port", "none"),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Batch and live, published. One for all: what is refused changes nothing."""
    made = Installation(tmp_path_factory.mktemp("home"))
    serve_orders(made)
    yield made
    made.store.close()


def commands(table: dict[str, tuple[str, ...]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("command", [pytest.param(words, id=name) for name, words in table.items()])


def run(installation: Any, words: Sequence[str], *flags: str, **values: str) -> Any:
    """What a command says with this home."""
    return installation.run(*(word.format(**values) for word in words), *flags)


def check(result: Any, code: int) -> None:
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert (result.exit_code, len(lines), result.stdout) == (code, 1, ""), result.output
    assert "Traceback" not in result.output


@commands(NAMED)
def test_an_unknown_definition(served: Any, command: Sequence[str]) -> None:
    check(run(served, command, name="nobody"), 2)


@commands(NAMED | FILES)
def test_a_file_that_is_not_there(served: Any, command: Sequence[str], tmp_path: Path) -> None:
    check(run(served, command, name=str(tmp_path / "nothing.yaml")), 2)


@commands(NAMED | FILES)
def test_a_definition_that_is_wrong(served: Any, command: Sequence[str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: orders\ntyle: 1h\n")
    check(run(served, command, name=str(wrong)), 2)


@commands(FLAGS)
def test_a_wrong_flag_value(served: Any, command: Sequence[str]) -> None:
    check(run(served, command, file=str(served.file)), 2)


@commands(NAMED)
def test_no_store(served: Any, command: Sequence[str], tmp_path: Path) -> None:
    check(run(served, command, "--store", str(tmp_path / "nothing.db"), name="orders"), 2)


@commands(NAMED)
@pytest.mark.parametrize(
    "url", [pytest.param("mysql://h/db", id="mysql"), pytest.param("postgresql://h:port/db", id="port")]
)
def test_no_address_of_a_store(served: Any, command: Sequence[str], url: str) -> None:
    check(run(served, command, "--store", url, name="orders"), 2)


@commands(NAMED)
def test_a_store_that_can_not_be_read(served: Any, command: Sequence[str], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"not a database, but long enough to be looked at" * 100)
    check(run(served, command, "--store", str(damaged), name="orders"), 1)


REFUSED: Final[dict[str, Callable[[Any], tuple[str, ...]]]] = {
    "promote": lambda installation: ("promote", str(_other_version(installation))),
    "drop": lambda installation: ("drop", str(installation.file)),
    "roll-back": lambda installation: ("roll-back", "orders", "1", "--live-run", "000009-zz"),
}


def _other_version(installation: Any) -> Path:
    other = Path(installation.file).with_name("other.yaml")
    other.write_text(installation.text.replace("lateness: 1h", "lateness: 2h"), encoding="utf-8")
    return other


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in REFUSED.items()])
def test_what_the_store_refuses(served: Any, words: Callable[[Any], tuple[str, ...]]) -> None:
    result = served.run(*words(served))
    assert result.exit_code in (1, 2), result.output
