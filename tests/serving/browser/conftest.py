"""A real Chromium, and a server with something on every page: `make test-browser` installs what this needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samples.browsed_home import browsed_home
from servers.listening_web import listening
from servers.web import Web
from without_runner.alert_stories import AlertStory
from without_runner.result_stories import BEGIN

from tandem.serving.security.principals import Role
from tandem.views.reconcile.receipts import DriftPoint
from tandem.views.reconcile.tile_causes import Causes

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MINUTE = 60_000_000


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        _lacking("playwright")
    if CHROMIUM is None:
        _lacking("Chromium")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


def _lacking(what: str) -> None:
    if os.environ.get("TANDEM_BROWSER") == "required":
        pytest.fail(f"no {what}, although `make test-browser` installs it")
    pytest.skip(f"no {what}; `make test-browser` installs it")


@pytest.fixture(scope="session")
def browsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, AlertStory]]:
    """(the home, its alerts' story)."""
    folder = tmp_path_factory.mktemp("browsed")
    orders, story = browsed_home(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tandem.serving.dashboard.drift_view.drift_points", lambda *_: drift())
        yield orders.home, story
    story.deliverer.close()
    story.store.close()
    orders.store.close()


def drift() -> list[DriftPoint]:
    """A map of twelve tiles and four generations."""
    return [
        DriftPoint(
            1, BEGIN, "v", "000001-aa", BEGIN + tile * 60 * MINUTE, generation, 100 - (tile * generation) % 23, 100,
            Causes(late=(tile * generation) % 23), BEGIN + (tile + generation) * 60 * MINUTE, None,
        )
        for tile in range(12)
        for generation in range(1, 5)
    ]  # fmt: skip


@pytest.fixture(scope="session")
def address(chromium: Any, browsed: tuple[Path, AlertStory]) -> Iterator[str]:
    """Of a server without keys."""
    home, _ = browsed
    with Web.over(home) as web:
        web.clock.now = BEGIN + 14 * MINUTE
        with listening(web) as found:
            yield found


@pytest.fixture
def guarded(chromium: Any, browsed: tuple[Path, AlertStory]) -> Iterator[tuple[str, str]]:
    """(address, an operator's key) of a server that asks for keys."""
    with Web.over(browsed[0], keys=True) as web:
        web.clock.now = BEGIN + 14 * MINUTE
        with listening(web) as found:
            yield found, web.known_as(Role.OPERATOR).key


@pytest.fixture(scope="session")
def shots() -> Path | None:
    """A folder for pictures of every page, where somebody wants them."""
    wanted = os.environ.get("TANDEM_SCREENSHOTS")
    if wanted is None:
        return None
    Path(wanted).mkdir(parents=True, exist_ok=True)
    return Path(wanted)
