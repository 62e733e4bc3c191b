"""Fenced blocks of pages."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "Block", "blocks"]

ROOT: Final = Path(__file__).parents[3]


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
    """Those of these languages in their order, within lists too."""
    found, opened = list[Block](), None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = line.strip()
        if opened is None and fence.startswith("```"):
            opened = (number, fence[3:].strip(), list[str]())
        elif opened is not None and fence == "```":
            found.append(Block(page, opened[0], opened[1], textwrap.dedent("\n".join(opened[2]) + "\n")))
            opened = None
        elif opened is not None:
            opened[2].append(line)
    assert opened is None, f"{page}:{opened[0]}: a block without an end"
    return [block for block in found if block.language in languages]
