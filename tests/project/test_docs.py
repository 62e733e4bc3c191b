"""What the documents show works: commands parse, definitions are right, Python runs, links lead somewhere.

A fenced block's word says what is done with it. `bash`: every `tandem` command is given to its real parser; how-to
pages and the tutorial are run by test_pages.py. `python`: it runs, in a folder with a small installation called
`data`; in the reference it must compile. `yaml` that begins with a name: it is a definition, and passes
`tandem check`. `console` and others are only shown.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from documents.blocks import ROOT, Block, blocks
from documents.by_themselves import BY_THEMSELVES
from typer.core import TyperGroup
from typer.testing import CliRunner

from tandem.app import app
from tandem.formats.dead_letters.files import decode, encode
from tandem.runners.options.reading import read_arguments
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.schemas.messages import DeadLetter
from tandem.views.store import ViewStore

FRONT = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*FRONT, *DOCS]
PIPELINES = ("live", "backfill", "publish", "windowed")


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


def linked_from(page: Path) -> set[Path]:
    targets = re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8"))
    return {(page.parent / target).resolve() for target in targets}


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs/index.md"
    folders = [page for page in DOCS if page.name in ("README.md", "index.md")]
    reached = {page for listing in (index, *folders) for page in linked_from(listing)}
    missing = [str(page.relative_to(ROOT)) for page in DOCS if page not in reached | {index}]
    assert missing == []


def test_every_page_is_in_the_index_of_the_site() -> None:
    """Decisions are reached from their index. That links on the site lead somewhere is checked by `make docs`."""
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    pages = {str(page.relative_to(ROOT / "docs")) for page in DOCS}
    assert set(listed) == {page for page in pages if not re.match(r"decisions/\d", page)}


@pytest.mark.parametrize("block", [b for b in of_all("bash") if b.values[0].page not in BY_THEMSELVES])
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
