"""Names and pages use the field's words: a stranger must be able to search for them.

`docs/explanation/glossary.md` has each word of Tandem's own with its nearest word elsewhere. Words here were Tandem's
once; what is stored, sent or served under them keeps them, and is listed with why.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT: Final = (
    *("schemas", "formats", "storage", "journal", "views", "transforms", "runners", "pipelines", "verification"),
    *("serving", "emulator", "tandem", "benchmarks", "examples"),
)
NAMES: Final = {
    "aside": "evicted tile, dead-letter message",
    "blame": "the record that is damaged",
    "dealt": "apportioned",
    "defused": "without_formula",
    "doubt": "question",
    "fate": "outcome",
    "forgiving": "what it does with the problem",
    "leftover": "orphan, processes of",
    "mend": "repair, patch, remedy",
    "mended": "patched",
    "patience": "time limit, retry limits, hysteresis",
    "patiently": "with retries",
    "proving": "verification",
    "spelt": "spelled, read from text",
    "straddler": "cross-boundary duplicate",
    "stranger": "unused values of a dictionary",
    "tended": "supervised, restarted",
    "told": "stated",
    "untold": "not stated",
    "vet": "check",
    "witness": "observer",
}
"""Words that names have no more, and what they have instead."""
KEPT: Final = {
    "fate": "a column of SQL and a field of the API",
    "fate_of": "what makes that field",
    "live_asides": "a table",
    "pull_patience": "a field of what runners keep of live jobs",
    "straddlers": "a table, and a column of SQL",
    "told": "a column of the tables of episodes and groups",
    "told_at": "a column of the table of groups",
    "told_before_batch": "a field of the report on rules",
}
"""Names that are stored, sent or served."""
PROSE: Final = re.compile(r"\b(taken for dead|mend|mends|mended|straddlers?|asides|patience)\b", re.IGNORECASE)
KEPT_PROSE: Final = re.compile(r"`[^`]*`|mended-2")
"""What is quoted as it is stored; the file name of a patched job server."""


def parts(name: str) -> list[str]:
    """The words of a name, in lower case and singular."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    return [word.lower() if word.lower() in NAMES else word.lower().removesuffix("s") for word in words]


def names(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name):
                yield name.rpartition(".")[2]


def unwanted(text: str) -> set[str]:
    return {name for name in names(text) if name.strip("_") not in KEPT and set(parts(name)) & set(NAMES)}


def files(*suffixes: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.splitlines() if name.endswith(suffixes)]
    return [path for path in paths if path.is_file() and not any(p.is_symlink() for p in (path, *path.parents))]


def in_product(path: Path) -> bool:
    return path.relative_to(ROOT).parts[0] in PRODUCT


def test_names_have_the_fields_words() -> None:
    found = {str(p.relative_to(ROOT)): unwanted(p.read_text(encoding="utf-8")) for p in files(".py") if in_product(p)}
    assert {name: sorted(words) for name, words in found.items() if words} == {}, NAMES


def test_pages_and_docstrings_have_the_fields_words() -> None:
    """But decisions and the changelog, which say what was, and what is quoted as it is stored."""
    pages = [p for p in files(".md") if "decisions" not in p.parts and p.name != "CHANGELOG.md"]
    read = [*pages, *(p for p in files(".py") if in_product(p))]
    found = {str(p.relative_to(ROOT)): prose(p) for p in read}
    assert {name: words for name, words in found.items() if words} == {}


def glossary() -> list[list[str]]:
    text = (ROOT / "docs/explanation/glossary.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    return [row for row in rows if row[0] != "word"]


def test_each_word_of_the_glossary_has_a_meaning_and_a_nearest_word() -> None:
    rows = glossary()
    assert [row for row in rows if len(row) != 3 or not all(row)] == []
    words = [row[0] for row in rows]
    assert sorted(set(words)) == sorted(words)


def test_words_that_the_architecture_introduces_are_in_the_glossary() -> None:
    """Its first section names those that every page uses."""
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    section = page[page.index("## Words") : page.index("## One journal")]
    introduced = {word.removesuffix("s") for word in re.findall(r"\*\*([^*]+)\*\*", section)}
    assert introduced - {word for row in glossary() for word in row[0].split(", ")} == set()
    assert len(introduced) > 8


def prose(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        strings = [
            n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant) and isinstance(n.value, str)
        ]
        text = "\n".join(string for string in strings if " " in string)
    return PROSE.findall(KEPT_PROSE.sub("", text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("def f(patience): ...", {"patience"}, id="argument"),
        pytest.param("class Straddlers: ...", {"Straddlers"}, id="class"),
        pytest.param("f(told_by=1)", {"told_by"}, id="keyword"),
        pytest.param("from a import mended_server", {"mended_server"}, id="import"),
        pytest.param("row.told, straddlers.c", set(), id="stored"),
        pytest.param("fasten = openness, extended, velvet", set(), id="a word within another"),
    ],
)
def test_a_word_is_found(text: str, expected: set[str]) -> None:
    assert unwanted(text) == expected
