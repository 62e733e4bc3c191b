"""Texts of others are shown, not obeyed; passwords never appear; tables never cut a value."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import tandem
from tandem.app import app
from tandem.pipelines.console import ending
from tandem.pipelines.console.printing import SafeConsole, cell
from tandem.pipelines.console.tables import Column, print_pairs, print_table
from tandem.schemas.errors import StoreError, TandemError
from tandem.schemas.privacy.printable import json_text, printable
from tandem.schemas.privacy.secrets import keep_secret, redacted
from tandem.views.storage.address import parse_address, shown_address

HOSTILE = {
    "escape": "\x1b[2J\x1b[31mred",
    "title": "\x1b]0;pwned\x07",
    "c1": "\x9b31mred",
    "bidi": "abc\u202edcb\u2066x",
    "markup": "[red]x[/red][link=http://x]y[/link]",
    "broken markup": "[/nothing]",
    "return": "good\rbad",
    "lines": "one\ntwo\u2028three",
    "surrogate": "name-\udcff",
    "delete": "\x7f\x08\x08",
    "unseen": "a\u200bb\U000e0041",
}
UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\u200b\ud800-\udfff\U000e0000-\U000e007f]"
)
DAY = ("--window", "day", "--at", "2026-01-05T12:00")


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in HOSTILE.items()])
def test_texts_are_shown_escaped(text: str) -> None:
    assert UNSAFE.search(printable(text)) is None
    assert "\n" not in printable(text)
    assert printable("Zürich, 東京 👩\u200d💻 [x]") == "Zürich, 東京 👩\u200d💻 [x]"


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in HOSTILE.items()])
def test_json_loses_nothing(text: str) -> None:
    shown = json_text({text: [text]})
    assert UNSAFE.search(shown) is None
    assert json.loads(shown) == {text: [text]}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in HOSTILE.items()])
def test_a_console_obeys_no_text_however_it_comes_in(text: str) -> None:
    file = io.StringIO()
    to = SafeConsole(file=file, force_terminal=True, width=200, color_system=None, legacy_windows=False)
    to.print(text, markup=False)
    to.print(cell(text))
    print_table(to, [Column("a"), Column("b")], [(text, "plain")])
    print_pairs(to, [(text.replace("\n", ""), text)])
    shown = file.getvalue()
    assert UNSAFE.search(re.sub("\x1b\\[[012]m", "", shown)) is None, repr(shown)
    assert "[red]" in shown if "[red]" in text else True


@pytest.fixture
def hostile(empty: Any) -> Any:
    """A served store whose keys are such texts."""
    orders = [empty.Order(8.1, 2.5, shop=text) for name, text in HOSTILE.items() if name != "surrogate"]
    empty.batch("b-1", 1, orders)
    empty.store.publishing.publish("orders", empty.version, "b-1", None)
    return empty


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("query", "orders", *DAY), id="all keys"),
        pytest.param(("query", "orders", *DAY, "--json"), id="all keys, json"),
        pytest.param(("query", "orders", *DAY, "--top", "3", "--by", "amount"), id="top"),
        pytest.param(("query", "orders", *DAY, "--key", json.dumps(["\x1b[31m", "\u202e"])), id="an unknown key"),
        pytest.param(("query", "orders", *DAY, "--key", json.dumps([HOSTILE["escape"], "EUR"])), id="a key"),
        pytest.param(("query", "orders", "--key", "\x1b[31mx", *DAY), id="an error"),
        pytest.param(("query", "\x1b[31mx", *DAY), id="a name"),
        pytest.param(("query", "./\x1b[31m\u202e.yaml", *DAY), id="a file"),
        pytest.param(("query", "orders", "--window", "\x9b2J"), id="a flag"),
        pytest.param(("query", "orders", *DAY, "--where", "shop = '\udcff'"), id="a surrogate in an expression"),
        pytest.param(("query", "\udcff", *DAY), id="a surrogate in a name"),
        pytest.param(("query", "orders", *DAY, "--key", "\udcff,EUR"), id="a surrogate in a key"),
        pytest.param(("export", "orders", "--output", "/nowhere/\x1b[31m"), id="an output"),
        pytest.param(("export", "orders"), id="jsonl"),
        pytest.param(("status", "orders"), id="status"),
        pytest.param(("check", "./\x1b[31m.yaml"), id="check"),
        pytest.param(("backfill", "--definition", "\x1b[31m.yaml"), id="backfill"),
        pytest.param(("--\x1b[31m",), id="an option"),
    ],
)
def test_no_command_passes_a_control_on(hostile: Any, command: Sequence[str]) -> None:
    result = hostile.run(*command)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert UNSAFE.search(result.stdout + result.stderr) is None, repr(result.stdout + result.stderr)
    assert (result.stdout + result.stderr).strip()


def test_texts_reach_the_terminal_by_few_ways() -> None:
    """Commands print by what escapes texts. These print versions, numbers and JSON by themselves, or escape too."""
    root = Path(tandem.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"typer\.s?echo\(|(?<![\w.])print\(|std(?:out|err)\.write\(", path.read_text(encoding="utf-8"))
    }
    plain = {"app.py", "commands/operating/reconcile.py", "commands/platforms/flex_templates.py"}
    assert found == plain | {"output/files.py"}


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31m", "\u202ereports", "\udcff"])
def test_an_api_key_has_a_name_that_can_be_shown(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["keys", "create", name, "--home", str(tmp_path)])
    said = result.stdout + result.stderr
    assert (result.exit_code, said.count("\n"), "tandem_" in said) == (2, 1, False), said
    assert UNSAFE.search(said) is None, repr(said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 132, 200])
def test_tables_leave_whole_columns_out_and_cut_nothing(width: int) -> None:
    names = ["key", "events", "amount", "longer_name", "mean", "users", "note"]
    row = [
        "[b]käse[/b]",
        "1,234,567",
        "987,654,321.12",
        "000001-5f1c22ab90de77aa",
        "3.333333333",
        "77",
        "a few words here",
    ]
    columns = [
        Column(names[0], keep=True),
        *(Column(name, right=True) for name in names[1:-1]),
        Column("note", wrap=True),
    ]
    file = io.StringIO()
    print_table(Console(file=file, width=width), columns, [row, [*row[:-1], "x"]])
    shown = file.getvalue()
    table, _, told = shown.partition("not shown: ")
    left_out = told.partition(";")[0].split(", ") if told else []
    assert max(len(line.rstrip()) for line in table.splitlines()) <= max(width, len("[b]käse[/b]") + 4)
    for name, value in zip(names, row, strict=True):
        there = value.split() if name == "note" else [value]
        heads = table.split("\u2500")[0].split()
        assert (name in heads) == (name not in left_out), shown
        assert name in left_out or all(part in table for part in there), (name, shown)
    assert "…" not in shown


def test_what_must_be_shown_makes_lines_longer_than_the_screen() -> None:
    file = io.StringIO()
    run = "000001-5f1c22ab90de77aa-" * 3
    print_table(Console(file=file, width=40), [Column("run", keep=True), Column("n", keep=True)], [(run, "17")])
    assert run in file.getvalue()
    print_pairs(Console(file=file, width=40), [("live run", f"{run} and some more words that go on below")])
    assert file.getvalue().count(run) == 2


SECRETS = [
    pytest.param("postgresql://u:hush-hush@h:1/db", id="plain"),
    pytest.param("postgresql://u:hush%2Dhush@h:1/db", id="percent-encoded"),
    pytest.param("postgresql://u:hush-hu/sh@h/db", id="with a slash"),
    pytest.param("postgresql://u:hush-hu@sh@h/db", id="with an at"),
    pytest.param("postgresql://h/db?user=u&password=hush-hush", id="as a parameter"),
    pytest.param("postgresql://h/db?password=hush%2Dhush&sslmode=require", id="as an encoded parameter"),
    pytest.param("postgresql://h/db?sslpassword=hush-hush", id="of a key"),
    pytest.param("postgresql://u:hush-hush@h:port/db", id="beside a bad port"),
    pytest.param("postgresql://u:hush-hush@h:99999/db", id="beside a port that is none"),
    pytest.param("postgresql+nothing://u:hush-hush@h/db", id="beside a bad driver"),
    pytest.param("mysql://u:hush-hush@h/db", id="of another database"),
]


@pytest.mark.parametrize("url", SECRETS)
@pytest.mark.parametrize("command", ["query", "status", "export", "promote", "backfill"])
def test_no_password_is_shown(url: str, command: str, tmp_path: Path) -> None:
    text = ("name: x", "x.yaml")
    (tmp_path / text[1]).write_text(text[0])
    words = ["backfill", "--definition", "examples/clicks/clicks.yaml", "--files", "x.jsonl"]
    words = words if command == "backfill" else [command, "clicks"]
    result = CliRunner().invoke(app, [*words, "--store", url, "--home", str(tmp_path)])
    shown = result.stdout + result.stderr
    assert "hush" not in shown, shown
    assert (result.exit_code in (1, 2), shown.count("\n")) == (True, 1), shown
    assert isinstance(result.exception, SystemExit), repr(result.exception)


@pytest.mark.parametrize("url", SECRETS)
def test_addresses_hide_it(url: str) -> None:
    assert "hush" not in shown_address(url)
    with suppress(StoreError):
        assert "hush" not in shown_address(parse_address(url))


def test_a_known_secret_is_hidden_in_any_text() -> None:
    keep_secret("p&ss w/rd")
    assert redacted("connection to p&ss w/rd and p%26ss%20w%2Frd and p%26ss+w%2Frd failed").count("***") == 3


def test_what_nobody_foresaw_is_one_line_and_a_trace(
    served: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("\x1b[31m postgresql://u:hush-hush@h/db")

    monkeypatch.setattr("tandem.serving.questions.answers.asking.ask", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = served.run("query", "orders", *DAY)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("error: this is a fault of Tandem: KeyError: ")
    (trace,) = tmp_path.glob("tandem-trace-*.txt")
    assert str(trace) in result.stderr
    assert trace.stat().st_mode & 0o077 == 0
    kept = trace.read_text(encoding="utf-8")
    assert "Traceback" in kept
    assert "hush" not in kept + result.stderr
    assert "\x1b" not in kept + result.stderr
    whole = served.run("query", "orders", *DAY, "--traceback")
    assert "Traceback" in whole.stderr
    assert "hush" not in whole.stderr


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(OSError(28, "No space left", "/full/x"), 1, "no room is left on the disk of /full: ", id="full"),
        pytest.param(
            OSError(13, "Permission denied", "/x"), 2, "/x: Permission denied; run this as the user", id="user"
        ),
        pytest.param(OSError(30, "Read-only file system", "/x"), 2, "/x: Read-only file system; name a place", id="ro"),
        pytest.param(OSError(5, "Input/output error", "/bad/x"), 1, "error (/bad/x)", id="system"),
        pytest.param(UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"), 2, r"isn't valid UTF-8: '\udcff'", id="bytes"),
        pytest.param(ValueError("embedded null byte"), 2, "a name or path has a NUL character", id="nul"),
        pytest.param(ValueError("embedded"), 1, "this is a fault of Tandem: ValueError: embedded", id="value"),
        pytest.param(RecursionError("too deep"), 1, "this is a fault of Tandem: RecursionError: too deep", id="deep"),
        pytest.param(OverflowError("no [while running 'I/R']"), 1, "OverflowError: no; its", id="step"),
        pytest.param(TandemError("as it is"), 1, "error: as it is", id="ours"),
    ],
)
def test_ends(error: Exception, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        ending.end_for(error)
    shown = capsys.readouterr().err
    assert (end.value.code, shown.count("\n")) == (code, 1)
    assert message in shown


def test_traces_can_be_wanted_anywhere() -> None:
    words = ["query", "--traceback", "x"]
    assert ending.wants_trace(words)
    assert words == ["query", "x"]
