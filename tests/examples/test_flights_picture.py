"""The picture and the page are made, and tell batch and live apart."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from examples.flights.picture import BATCH, DAY, HOUR, LIVE, Step, Steps, draw, write_page


def pixels(path: Path, colour: str) -> int:
    """How many pixels of a PNG have exactly this colour."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    image = np.round(matplotlib.image.imread(path)[:, :, :3] * 255).astype(int)
    return int((image == wanted).all(axis=2).sum())


def steps(batch: int, live: int) -> Steps:
    begin = 15_000 * DAY
    days = tuple(Step(begin + at * DAY, batch, live) for at in range(20))
    hours = tuple(Step(begin + at * HOUR, batch, live) for at in range(72))
    return Steps('["JFK","B6"]', begin + 12 * DAY, begin + 11 * DAY, 4, 2, days, hours)


@pytest.mark.parametrize(
    ("batch", "live"), [pytest.param(7, 0, id="batch"), pytest.param(0, 7, id="live"), pytest.param(7, 7, id="both")]
)
def test_batch_and_live_have_their_colours(tmp_path: Path, batch: int, live: int) -> None:
    path = draw(steps(batch, live), tmp_path / "flights.png", "JFK B6")
    # the legend alone has some hundred pixels of each
    assert (pixels(path, BATCH) > 20_000) is (batch > 0)
    assert (pixels(path, LIVE) > 20_000) is (live > 0)


def test_page_holds_picture_and_summary_and_escapes_them(tmp_path: Path) -> None:
    picture = draw(steps(1, 1), tmp_path / "flights.png", "JFK B6")
    pictures = {"bars": picture, 'of "alerts"': picture}
    page = write_page(tmp_path / "report.html", pictures, "Flights", [("moves", "0 -> 3 <b>")]).read_text()
    assert page.count("data:image/png;base64,iVBOR") == 2
    assert 'alt="of &quot;alerts&quot;"' in page
    assert "0 -&gt; 3 &lt;b&gt;" in page
    assert 'src="http' not in page
