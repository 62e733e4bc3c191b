"""Pages without a mouse: each control is reached by Tab, shows that it is, and does what it says."""

from __future__ import annotations

from typing import Any

import pytest
from servers.browsing import Seen, opened

SERIES = "/definitions/visits?key=ann&from=2026-01-05T08:00:00Z&to=2026-01-05T08:10:00Z&step=1m"


def focused(page: Any) -> str:
    """What has the focus, by its text, id or name."""
    return str(
        page.evaluate(
            "(e => e === document.body ? 'BODY' : e.id || e.getAttribute('name') || e.innerText.trim() || e.tagName)"
            "(document.activeElement)"
        )
    )


def walked(seen: Seen, most: int = 60) -> list[str]:
    """What Tab leads to, one after the other, until it begins again."""
    found: list[str] = []
    for _ in range(most):
        seen.page.keyboard.press("Tab")
        outline = seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        name = focused(seen.page)
        if name == "BODY" or (found and name == found[0]):
            break
        assert outline != "none", name
        found.append(name)
    return found


@pytest.mark.parametrize(
    ("path", "there"),
    [
        pytest.param("/", ["Skip to the page", "Tandem", "theme"], id="overview"),
        pytest.param(SERIES, ["Skip to the page", "key", "result", "from", "to", "step", "Show", "chart"], id="series"),
        pytest.param("/definitions/visits/alerts", ["rule", "state", "key", "Show"], id="alerts"),
    ],
)
def test_everything_is_reached(chromium: Any, address: str, path: str, there: list[str]) -> None:
    with opened(chromium, address + path) as seen:
        found = walked(seen)
        assert [name for name in there if name not in found] == []
        assert [found.index(name) for name in there] == sorted(found.index(name) for name in there)


def test_a_step_is_chosen_with_arrows_and_enter(chromium: Any, address: str) -> None:
    with opened(chromium, address + SERIES) as seen:
        seen.page.focus("#chart")
        for _ in range(9):
            seen.page.keyboard.press("ArrowLeft")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_selector("#explained h2")
        assert "point=" in seen.page.url
        assert focused(seen.page) == "explained"
        assert seen.said == []


def test_skipping_leads_to_the_page_and_the_theme_changes(chromium: Any, address: str) -> None:
    with opened(chromium, address) as seen:
        seen.page.keyboard.press("Tab")
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("location.hash") == "#main"
        seen.page.focus("#theme")
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_an_operator_signs_in_acknowledges_and_silences(chromium: Any, guarded: tuple[str, str]) -> None:
    address, key = guarded
    with opened(chromium, f"{address}/definitions/visits/alerts") as seen:
        page = seen.page
        page.on("dialog", lambda dialog: dialog.accept("looked into"))
        assert "/login" in page.url
        page.fill("input[name=key]", key)
        page.keyboard.press("Enter")
        page.wait_for_url("**/alerts")
        page.fill("form[data-silence] input[name=note]", "a campaign")
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-end-silence]")
        assert "a campaign" in page.locator("#silences").inner_text()
        page.focus("[data-end-silence]")
        page.keyboard.press("Enter")
        page.wait_for_selector("#silences .none")
        page.click("tbody th a >> nth=0")
        page.focus("[data-acknowledge]")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=looked into")
        assert seen.said == []
