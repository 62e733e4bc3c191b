"""CHANGELOG.md has the form of Keep a Changelog, and one section more: what a running job must do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "What a running job must do")
RELEASE = re.compile(r"\[Unreleased\]|\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d")
ACKNOWLEDGED = re.compile(r"(state of \w+|kept state) [0-9a-f]{8}: ")


def faults(text: str) -> list[str]:
    """What is otherwise than the form has it, each by its line."""
    found, kinds, kind, releases = list[str](), list[str](), "", list[str]()
    for line in text.splitlines():
        if line.startswith("## "):
            releases.append(line[3:])
            kinds, kind = [], ""
        elif line.startswith("### "):
            kind = line[4:]
            kinds.append(kind)
            if kind not in KINDS or kinds != sorted(set(kinds), key=KINDS.index):
                found.append(f"{line}: kinds are {', '.join(KINDS)}, in this order, each once")
        elif line.startswith("- ") and not kind:
            found.append(f"{line[:40]}: stands below no kind")
        elif ACKNOWLEDGED.match(line[2:]) and kind != KINDS[-1]:
            found.append(f"{line[:40]}: belongs below {KINDS[-1]!r}")
    return found + [f"{release}: no version with a date" for release in releases if not RELEASE.fullmatch(release)]


def test_the_changelog_has_the_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert faults(text) == []
    assert "## [Unreleased]" in text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("## [1.0.0] - 2026-01-02\n\n### Added\n\n- this\n", None, id="good"),
        pytest.param("## 1.0.0\n\n### Added\n\n- this\n", "no version", id="version-without-date"),
        pytest.param("## [Unreleased]\n\n- this\n", "no kind", id="entry-without-kind"),
        pytest.param("## [Unreleased]\n\n### Improved\n\n- this\n", "kinds are", id="unknown-kind"),
        pytest.param("## [Unreleased]\n\n### Fixed\n\n- a\n\n### Added\n\n- b\n", "kinds are", id="other-order"),
        pytest.param("## [Unreleased]\n\n### Added\n\n- kept state 0123abcd: x\n", "belongs", id="job-elsewhere"),
    ],
)
def test_wrong_forms_are_found(text: str, fault: str | None) -> None:
    found = faults(text)
    assert len(found) == (fault is not None)
    assert all(fault in said for said in found if fault)
