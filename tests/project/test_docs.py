"""What the documents show works: commands parse, definitions are right, Python runs, links lead somewhere.

A fenced block's word says what is done with it. `bash`: every `tandem` command is given to its real parser, and on
the tutorial's page all of it is run. `text` on the tutorial's page: its lines are in the output of the commands above
it. `python`: it runs, in a folder with a small installation called `data`; in the reference it must compile. `yaml`
that begins with a name: it is a definition, and passes `tandem check`. `console` and others are only shown.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from processes.ports import free_port
from typer.core import TyperGroup
from typer.testing import CliRunner

from tandem.app import app
from tandem.formats.dead_letters.files import decode, encode
from tandem.runners.options.reading import read_arguments
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.schemas.messages import DeadLetter
from tandem.views.store import ViewStore

ROOT = Path(__file__).parents[2]
FRONT = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*FRONT, *DOCS]
TUTORIAL = ROOT / "docs/tutorials/first-answer.md"
RUNNING = (
    "alert",
    "ask-with-sql",
    "backtest-rules",
    "files-as-they-are",
    "runbook",
    "send-results",
    "serve",
    "windows",
)
RUN = [TUTORIAL, *(ROOT / f"docs/how-to/{name}.md" for name in RUNNING)]
"""Pages that are run from their first line to their last."""
NOT_RUN = {
    "backfill": "goes on with what live has journaled for hours",
    "bad-input": "asks an installation that has read bad input for a while",
    "change-a-definition": "has a live run and a follower side by side, until each is stopped",
    "dead-letters": "asks an installation with dead letters of a live run",
    "deploy-on-a-machine": "starts containers and services; tests/deploy/machine has its files",
    "deploy-on-google-cloud": "makes what costs money; tests/deploy/terraform has its files",
    "deploy-on-kubernetes": "needs a cluster; tests/deploy/helm has its files",
    "evolve-a-schema": "shows schemas, no commands",
    "object-stores": "names buckets that aren't there; tests/pipelines/bounded/test_backfill_of_buckets.py has some",
    "plan-a-launch": "names clusters and projects that aren't there",
    "rebuild": "makes an installation anew that has run before; tests/pipelines/bounded/test_rebuild.py does",
    "reconcile": "repairs what was damaged before; tests/tandem/commands/test_reconcile_commands.py does both",
    "restart-after-crash": "kills processes; tests/chaos does",
    "roll-back": "goes back to a publication that an installation had",
    "run-live": "runs until it is stopped; the tutorial's page is run instead",
    "run-on-flink": "needs a cluster; tests/flink has one",
    "test": "runs the test suite",
    "update-a-running-pipeline": "updates a job on a cluster",
    "windowed-transforms": "its Python is run; the last command reads until it is stopped",
    "write-tables": "writes tables of an installation that has run; tests/serving/test_iceberg_tables.py does",
    "verify": "proves on samples of one's own; tests/tandem/commands/test_verify.py runs its commands",
}
"""Why the commands of the other how-to pages aren't: they are parsed all the same.

Pages that are run may name files that they have written themselves.
"""
PIPELINES = ("live", "backfill", "publish", "windowed")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    found, opened = list[Block](), None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if opened is None and line.startswith("```"):
            opened = (number, line[3:].strip(), list[str]())
        elif opened is not None and line.strip() == "```":
            found.append(Block(page, opened[0], opened[1], "\n".join(opened[2]) + "\n"))
            opened = None
        elif opened is not None:
            opened[2].append(line)
    assert opened is None, f"{page}:{opened[0]}: a block without an end"
    return [block for block in found if block.language in languages]


def of_all(*languages: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for page in PAGES for block in blocks(page, *languages)]


def commands(text: str) -> Iterator[list[str]]:
    """The `tandem` commands of a script as lists of words, without pipes, redirections and here-documents."""
    lines = iter(text.replace("\\\n", " ").splitlines())
    for line in lines:
        if here := re.search(r"<<-?\s*'?(\w+)'?", line):
            while next(lines).strip() != here[1]:
                pass
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set("|;&<>"):
                command.append(word)
                continue
            if command and command[0] == "tandem":
                yield command[1:]
            command = []


def parse(words: list[str]) -> None:
    """Give a command's words to the parser that it has, without running it."""
    if words[0] in PIPELINES:
        module = __import__(f"tandem.pipelines.{words[0]}", fromlist=["parse"])
        module.parse(read_arguments(words[0], words[1:]))
        return
    command: Any = typer.main.get_command(app)
    names = ["tandem"]
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command {' '.join([*names[1:], words[0]])}"
        names.append(words[0])
        command, words = command.commands[words[0]], words[1:]
    command.make_context(" ".join(names), words)


def parse_all(script: str) -> None:
    for words in commands(script):
        parse(words)


def words_of(line: str) -> str:
    """A line of output without its layout."""
    return " ".join(line.split())


def linked_from(page: Path) -> set[Path]:
    targets = re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8"))
    return {(page.parent / target).resolve() for target in targets}


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs/index.md"
    folders = [page for page in DOCS if page.name == "README.md"]
    reached = {page for listing in (index, *folders) for page in linked_from(listing)}
    missing = [str(page.relative_to(ROOT)) for page in DOCS if page not in reached | {index}]
    assert missing == []


def test_every_page_is_in_the_index_of_the_site() -> None:
    """Decisions are reached from their index. That links on the site lead somewhere is checked by `make docs`."""
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    pages = {str(page.relative_to(ROOT / "docs")) for page in DOCS}
    assert set(listed) == {page for page in pages if not re.match(r"decisions/\d", page)}


@pytest.mark.parametrize("block", [b for b in of_all("bash") if b.values[0].page not in RUN])
def test_commands_parse(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    parse_all(block.text)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("tandem querry clicks\n", id="unknown-command"),
        pytest.param("true && tandem query clicks --windw 1h\n", id="unknown-flag"),
        pytest.param("tandem query\n", id="missing-argument"),
        pytest.param("cat <<END\ntandem query ok\nEND\ntandem prune x --keep 0 &\n", id="wrong-value"),
        pytest.param("tandem pubsub delete-topic t\n", id="unknown-subcommand"),
        pytest.param(
            "tandem live --definition examples/clicks/clicks.yaml \\\n  --subscriptoin s\n", id="pipeline-flag"
        ),
    ],
)
def test_wrong_commands_are_found(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(Exception):  # noqa: B017, PT011 - each parser has its own error
        parse_all(script)


@pytest.mark.parametrize("block", [b for b in of_all("yaml") if b.values[0].text.startswith("name:")])
def test_definitions_pass_the_check(block: Block, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/clicks", tmp_path / "clicks")
    file = tmp_path / "clicks/shown.yaml"
    file.write_text(block.text, encoding="utf-8")
    checked = CliRunner().invoke(app, ["check", str(file)])
    assert checked.exit_code == 0, checked.stderr


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A folder with `data`: a store that knows the clicks, and one dead letter."""
    (tmp_path / "data").mkdir()
    clicks = ROOT / "examples/clicks/clicks.yaml"
    store = ViewStore(str(tmp_path / "data/views.db"))
    store.definitions.register(compile_definition(load(clicks)), clicks.read_text(encoding="utf-8"))
    store.close()
    letters = tmp_path / "data/deadletters/6963dda015071a84/lane"
    letters.mkdir(parents=True)
    letter = DeadLetter(b"no click", "not JSON", "decode", 7)
    data = encode([letter], "000001-5f1c22ab90de77aa/0000/42", written_at=0, version="6963dda015071a84")
    assert decode(data)[0].letter == letter
    (letters / "000000000042.avro").write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("block", of_all("python"))
def test_python_runs(block: Block, installation: Path) -> None:
    code = compile(block.text, str(block), "exec")
    if block.page.name == "layers.md":
        return  # run over files of a batch run by tests/views/layers/test_read_by_others.py
    if "reference" in block.page.parts:
        return  # parts of a whole, which the page describes
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", block.text], cwd=installation, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert code is not None


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in headings(file)):
            wrong.append(target)
    assert wrong == []


def test_every_how_to_page_is_run_or_says_why_not() -> None:
    pages = {page.stem for page in (ROOT / "docs/how-to").glob("*.md")}
    run = {page.stem for page in RUN if page.parent.name == "how-to"}
    assert pages == run | {*NOT_RUN}
    assert not run & {*NOT_RUN}


@pytest.mark.long
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_pages_from_their_first_line_to_their_last(page: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/clicks", tmp_path / "examples/clicks")
    port = str(free_port())
    steps = blocks(page, "bash", "text")
    script = "".join(block.text for block in steps if block.language == "bash").replace("8085", port)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("TANDEM_HOME", None)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr
    printed = {words_of(line) for line in ran.stdout.splitlines()}
    shown = [(str(b), words_of(line)) for b in steps if b.language == "text" for line in b.text.splitlines()]
    assert [(where, line) for where, line in shown if line not in printed] == [], ran.stdout
