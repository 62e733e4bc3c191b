"""Pages in a real Chromium: both themes, phone width, no message on its console, charts that are drawn.

`make test-browser` installs what this needs, and runs all; `make test` runs a short form where there is a Chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples.orders_home import Installation, Order, serve_orders

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOTS = os.environ.get("TANDEM_SCREENSHOTS")
"""A folder for pictures of every page, in which they stay."""
CHART = "/definitions/orders?key=mill,EUR&from=2026-01-05T00:00:00Z&to=2026-01-05T12:00:00Z&step=1h"
PAGES = {
    "overview": "/",
    "series": CHART,
    "step": f"{CHART}&point=2026-01-05T08:00:00Z",
    "runs": "/definitions/orders/runs",
    "drift": "/definitions/orders/drift",
    "dead-letters": "/definitions/orders/dead-letters",
}


@pytest.fixture(scope="module", autouse=True)
def chromium() -> None:
    if CHROMIUM is None:
        if os.environ.get("TANDEM_BROWSER") == "required":
            pytest.fail("no Chromium, although `make test-browser` installs one")
        pytest.skip("no Chromium; `make test-browser` installs one")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own process, over a home with one definition."""
    made = Installation(tmp_path_factory.mktemp("browsed"))
    serve_orders(made)
    made.live("000001-aa", [Order(7.5, 5.0, generation=4), Order(9.8, 12.0, generation=4)])
    made.store.close()
    command = [sys.executable, "-m", "tandem", "serve", "--port", "0", "--home", str(made.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        told = server.stdout.readline()
        try:
            yield told.removeprefix("serving at ").strip()
        finally:
            server.terminate()
            assert server.wait(60) == 0


def browse(folder: Path, url: str, *flags: str) -> tuple[str, list[str]]:
    """(the page as it is after its scripts, what they said on the console)."""
    quiet = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [str(CHROMIUM), *quiet, profile, "--virtual-time-budget=8000", *flags, "--dump-dom", url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    said = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    return ran.stdout, said


def shot(folder: Path, url: str, name: str, *flags: str) -> None:
    """A picture of a page, where somebody wants them."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        browse(folder, url, f"--screenshot={Path(SHOTS).absolute() / name}.png", *flags)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_drawn_without_a_word_on_the_console(address: str, tmp_path: Path, name: str) -> None:
    page, said = browse(tmp_path, address + PAGES[name], "--window-size=1280,1000")
    assert said == []
    assert "<main" in page
    for theme, flags in (("light", ()), ("dark", ("--blink-settings=preferredColorScheme=0",))):
        shot(tmp_path, address + PAGES[name], f"{name}-{theme}", "--window-size=1280,1000", *flags)


def test_a_chart_is_drawn_and_a_step_is_taken_apart(address: str, tmp_path: Path) -> None:
    page, said = browse(tmp_path, address + PAGES["step"], "--window-size=1280,1000")
    assert said == []
    assert len(re.findall(r"<canvas", page)) == 2
    explained = page[page.index('id="explained"') :]
    assert "batch" in explained
    assert "live generation 2" in re.sub(r"<[^>]+>", "", explained)
    assert "b-1" in explained


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_a_phone(address: str, tmp_path: Path, name: str) -> None:
    """500 pixels, the narrowest that Chromium's window gets: nothing of the page reaches beyond it."""
    page, said = browse(tmp_path, address + PAGES[name], "--window-size=500,1400")
    assert said == []
    shot(tmp_path, address + PAGES[name], f"{name}-phone", "--window-size=500,1400")
    widths = [int(float(width)) for width in re.findall(r'<(?:div class="u-wrap"|canvas)[^>]*width: ([\d.]+)px', page)]
    assert all(width <= 500 for width in widths)
