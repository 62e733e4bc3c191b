"""Every page in both themes and as wide as a phone: readable for everybody, without a word on its console."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers.browsing import opened, violations
from without_runner.alert_stories import AlertStory

PAGES = {
    "overview": "/",
    "series": "/definitions/orders?key=mill,EUR&from=2026-01-05T00:00:00Z&to=2026-01-05T12:00:00Z&step=1h",
    "usual": "/definitions/visits?key=cid&result=n&from=2026-01-05T08:00:00Z&to=2026-01-05T08:15:00Z&step=1m",
    "step": "/definitions/visits?key=ann&from=2026-01-05T08:00:00Z&to=2026-01-05T08:10:00Z&point=2026-01-05T08:00:00Z",
    "alerts": "/definitions/visits/alerts",
    "alert": "/definitions/visits/alerts/{alert}",
    "results": "/definitions/visits/results",
    "runs": "/definitions/visits/runs",
    "drift": "/definitions/orders/drift",
    "dead-letters": "/definitions/orders/dead-letters",
    "nowhere": "/definitions/nowhere",
    "sign-in": "/login",
}
FORMS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"dark": True},
    "phone": {"width": 390, "height": 844},
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PAGES)
def test_pages(
    chromium: Any, address: str, browsed: tuple[Path, AlertStory], shots: Path | None, name: str, form: str
) -> None:
    check(chromium, address, browsed, shots, name, form)


def test_a_page_in_short(chromium: Any, address: str, browsed: tuple[Path, AlertStory]) -> None:
    """What `make test` runs of it where there is a browser."""
    check(chromium, address, browsed, None, "usual", "dark")


def check(
    chromium: Any, address: str, browsed: tuple[Path, AlertStory], shots: Path | None, name: str, form: str
) -> None:
    path = PAGES[name].replace("{alert}", browsed[1].episodes()[0].id)
    with opened(chromium, address + path, **FORMS[form]) as seen:
        if shots is not None:
            seen.page.screenshot(path=shots / f"{name}-{form}.png", full_page=form == "phone")
        assert violations(seen.page) == []
        width = seen.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], "wider than its window"
        assert seen.page.locator("h1").count() == 1
        unexpected = [text for text in seen.said if name != "nowhere" or "404" not in text]
        assert unexpected == []


def test_charts_are_drawn_and_a_step_is_taken_apart(chromium: Any, address: str) -> None:
    with opened(chromium, address + PAGES["step"]) as seen:
        assert seen.page.locator("canvas").count() == 2
        explained = seen.page.locator("#explained").inner_text()
        assert "batch B1" in explained
        assert seen.said == []


def test_what_is_usual_and_alerts_are_named(chromium: Any, address: str) -> None:
    with opened(chromium, address + PAGES["usual"]) as seen:
        assert "usual by unusual" in seen.page.locator(".chart .keys").inner_text()
        assert seen.page.locator('[data-fresh="alerts"] tbody tr').count() >= 1
        band = seen.page.evaluate("JSON.parse(document.getElementById('view').textContent).overlay.band")
        assert [row for row in band if row[1] is not None]
