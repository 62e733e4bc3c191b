"""Pages of alerts and results: what they show, of which keys, and what of them is for operators."""

from __future__ import annotations

import pytest
from servers.web import Web
from without_runner.alert_stories import AlertStory

from tandem.serving.security.principals import Role

HTML = {"accept": "text/html"}
ALERTS = "/definitions/visits/alerts"


@pytest.mark.parametrize(
    ("path", "there", "missing"),
    [
        pytest.param(ALERTS, ["<td>ann</td>", "<td>bob</td>"], ['role="alert"'], id="all"),
        pytest.param(f"{ALERTS}?firing=1", ["<td>bob</td>"], ["<td>ann</td>"], id="firing"),
        pytest.param(f"{ALERTS}?state=CONFIRMED", ["<td>ann</td>"], ["<td>bob</td>"], id="state"),
        pytest.param(f"{ALERTS}?state=LOUD", ['role="alert"', "<td>ann</td>"], [], id="no state"),
        pytest.param(f"{ALERTS}?key=bob", ["<td>bob</td>"], ["<td>ann</td>"], id="key"),
        pytest.param("/definitions/visits/results", ["final", "on time"], ["withdrawn"], id="results"),
        pytest.param("/definitions/visits/results?key=ann", ["final"], ["on time"], id="results of a key"),
        pytest.param("/definitions/visits/results?from=noon", ['role="alert"', "final"], [], id="no time"),
        pytest.param("/", ['alerts?firing=1">1 alert firing'], [], id="overview"),
    ],
)
def test_a_page_answers_its_url(asked: Web, path: str, there: list[str], missing: list[str]) -> None:
    page = asked.get(path, headers=HTML)
    assert page.status_code == 200
    assert [text for text in there if text not in page.text] == []
    assert [text for text in missing if text in page.text.partition("<main")[2]] == []


def test_an_alerts_page_has_its_life_and_leads_to_the_series(asked: Web, alerted: AlertStory) -> None:
    page = asked.get(f"{ALERTS}/{alerted.episodes()[0].id}", headers=HTML).text
    assert page.index("2. Confirmed, resolved") < page.index("1. Tentative, firing")
    link = page.partition('<a href="/definitions/visits?')[2].partition('"')[0].replace("&amp;", "&")
    series = asked.send("GET", f"/definitions/visits?{link}", headers=HTML)
    assert (series.status_code, "As a table" in series.text, 'role="alert"' in series.text) == (200, True, False)
    assert asked.get(f"{ALERTS}/nothing", headers=HTML).status_code == 404


def test_buttons_are_for_operators_and_hidden_keys_are_hidden(closed: Web, alerted: AlertStory) -> None:
    ann, bob = (row.id for row in alerted.episodes())
    viewer, operator = closed.known_as(), closed.known_as(Role.OPERATOR)
    for path in (ALERTS, f"{ALERTS}/{ann}"):
        pages = [who.get(path, headers=HTML).text for who in (viewer, operator)]
        assert [("data-acknowledge" in page or "data-silence" in page) for page in pages] == [False, True]
    mine = closed.known_as(rows=("visits=ann",))
    assert "bob" not in mine.get(ALERTS, headers=HTML).text
    assert "precision" not in mine.get(ALERTS, headers=HTML).text.lower()
    assert mine.get(f"{ALERTS}/{bob}", headers=HTML).status_code == 404
    assert "bob" not in mine.get("/definitions/visits/results", headers=HTML).text
    assert "firing" not in mine.get("/", headers=HTML).text
