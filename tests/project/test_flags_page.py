"""The reference of flags is made of the table, and up to date."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_that_of_the_table() -> None:
    made = runpy.run_path(str(ROOT / "docs/.site/flags_page.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"](), "`python docs/.site/flags_page.py` makes it anew"
