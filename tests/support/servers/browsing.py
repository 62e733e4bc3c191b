"""A page in a browser: what it said on its console, and what axe finds wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Seen", "opened", "violations"]


@dataclass
class Seen:
    """A page, and what went wrong on it."""

    page: Any
    said: list[str] = field(default_factory=list)
    """Errors and warnings of its console, and requests that failed."""


@contextmanager
def opened(browser: Any, url: str, *, width: int = 1280, height: int = 1000, dark: bool = False) -> Iterator[Seen]:
    """A page with a profile of its own, once nothing more is loaded."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    seen = Seen(context.new_page())
    seen.page.set_default_timeout(60_000)
    seen.page.on("console", lambda m: seen.said.append(m.text) if m.type in ("error", "warning") else None)
    seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
    seen.page.on("requestfailed", lambda request: seen.said.append(f"{request.url}: {request.failure}"))
    seen.page.goto(url, wait_until="networkidle")
    try:
        yield seen
    finally:
        context.close()


def violations(page: Any) -> list[str]:
    """By axe, each with the elements that it is about."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes']]}" for each in found]
