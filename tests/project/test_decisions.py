"""Every decision has a file of one form below docs/decisions, and a line in the index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs/decisions"
FILES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
SECTIONS = ("Decision", "Instead of", "Price", "Evidence")
HEAD = re.compile(
    r"# (?P<number>\d{4})\. (?P<title>.+)\n\n"
    r"- Status: (?P<status>.+)\n- Date: (?P<date>\d{4}-\d\d-\d\d)\n- Subject: (?P<subject>.+)\n"
    r"(?P<links>(?:- (?:Supersedes|Amends): .+\n)*)"
)
LINK = r"\[(\d{4})\]\((\d{4})-[a-z0-9-]+\.md\)"
STATUS = re.compile(rf"accepted|superseded by {LINK}|accepted, amended by {LINK}(?:(?:,| and) {LINK})*")
BACK = {"superseded": "Supersedes", "amended": "Amends"}


@dataclass(frozen=True)
class Decision:
    """A decision as its file says it."""

    name: str
    number: str
    title: str
    status: str
    taken: date
    subject: str
    links: str
    body: str


def numbers_in(text: str) -> list[str]:
    return [number for number, _ in re.findall(LINK, text)]


def parsed(name: str, text: str) -> Decision:
    head = HEAD.match(text)
    assert head, f"{name} begins otherwise than docs/decisions/README.md says"
    links, taken = head["links"], date.fromisoformat(head["date"])
    return Decision(
        name, head["number"], head["title"], head["status"], taken, head["subject"], links, text[head.end() :]
    )


def read(path: Path) -> Decision:
    return parsed(path.name, path.read_text(encoding="utf-8"))


def sections(decision: Decision) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", decision.body, flags=re.MULTILINE)
    return {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def faults_of_form(decision: Decision) -> list[str]:
    """What one decision's file has otherwise than the others."""
    found = sections(decision)
    faults = [f"the section {title!r} is empty" for title, text in found.items() if not text]
    if tuple(found) != SECTIONS:
        faults.append(f"sections are {', '.join(found)} instead of {', '.join(SECTIONS)}")
    if not re.fullmatch(r"\d{4}(-[a-z0-9]+)+\.md", decision.name) or decision.name[:4] != decision.number:
        faults.append("the file isn't named NUMBER-slug.md by its own number")
    if not STATUS.fullmatch(decision.status):
        faults.append(f"the status is {decision.status!r}: accepted, accepted and amended by N, or superseded by N")
    return faults


def test_numbers_have_no_gaps() -> None:
    numbers = [path.name[:4] for path in FILES]
    expected = [f"{number:04d}" for number in range(1, len(FILES) + 1)]
    assert numbers == expected, "two decisions of one number, or a gap: rename the newer one (file, title and index)"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:4])
def test_each_has_the_form(path: Path) -> None:
    assert faults_of_form(read(path)) == []


def test_what_replaces_a_decision_says_so() -> None:
    decisions = {decision.number: decision for decision in map(read, FILES)}
    told = {
        (number, BACK[word], decision.number)
        for decision in decisions.values()
        for word in BACK
        if f"{word} by" in decision.status
        for number in numbers_in(decision.status)
    }
    said = {
        (decision.number, line.split(":")[0].removeprefix("- "), number)
        for decision in decisions.values()
        for line in decision.links.splitlines()
        for number in numbers_in(line)
    }
    assert told == said


def test_the_index_has_each_below_its_subject() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", index, flags=re.MULTILINE)
    listed = {
        (subject, line.removeprefix("- "))
        for subject, text in zip(parts[1::2], parts[2::2], strict=True)
        for line in text.strip().splitlines()
    }
    assert listed == {(decision.subject, line_of(decision)) for decision in map(read, FILES)}


def line_of(decision: Decision) -> str:
    replaced = re.match(rf"superseded by {LINK}", decision.status)
    note = f" *(superseded by {replaced[1]})*" if replaced else ""
    return f"[{decision.number}]({decision.name}) {decision.title}{note}"


GOOD = "# 0007. A title\n\n- Status: accepted\n- Date: 2026-11-23\n- Subject: Tests\n" + "".join(
    f"\n## {title}\n\nText.\n" for title in SECTIONS
)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        pytest.param("0007-a.md", GOOD, None, id="good"),
        pytest.param("0008-a.md", GOOD, "named", id="other-number"),
        pytest.param("0007-a.md", GOOD.replace("accepted", "proposed"), "status", id="unknown-status"),
        pytest.param("0007-a.md", GOOD.replace("## Price\n\nText.\n", ""), "sections", id="no-price"),
        pytest.param("0007-a.md", GOOD.removesuffix("Text.\n"), "empty", id="no-evidence"),
    ],
)
def test_wrong_forms_are_found(name: str, text: str, fault: str | None) -> None:
    faults = faults_of_form(parsed(name, text))
    assert len(faults) == (fault is not None)
    assert all(fault in found for found in faults if fault)
