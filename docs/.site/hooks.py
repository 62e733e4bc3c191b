"""Files of the repository that pages link to and that don't lie below docs/: the site has each at `project/PATH`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<=\]\()(?P<target>(?:\.\./)+[^)\s#]+)")


def outside(page: str, target: str) -> str | None:
    """The path within the repository of what a page links to, if it lies outside of docs/."""
    path = os.path.normpath(os.path.join("docs", os.path.dirname(page), target))
    return None if path.startswith("docs/") or not (ROOT / path).is_file() else path


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds each file outside of docs/ that a page links to."""
    wanted = {
        path
        for file in files.documentation_pages()
        for link in LINK.finditer(file.content_string)
        if (path := outside(file.src_uri, link["target"]))
    }
    for path in sorted(wanted):
        files.append(File.generated(config, f"project/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Points links that leave docs/ to where the site has their files."""
    here = os.path.dirname(page.file.src_uri) or "."

    def moved(link: re.Match[str]) -> str:
        path = outside(page.file.src_uri, link["target"])
        return os.path.relpath(f"project/{path}", here) if path else link["target"]

    return LINK.sub(moved, markdown)
