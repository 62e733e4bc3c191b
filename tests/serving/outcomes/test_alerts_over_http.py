"""Alerts, silences and results over HTTP: what there is, what operators do about it, and what stays hidden."""

from __future__ import annotations

import json
from typing import Any

import pytest
from samples.alerted_home import busy
from servers.web import Web
from without_runner.alert_stories import AlertStory

from tandem.serving.security.principals import Role

VISITS = "/api/v1/definitions/visits"


def users(web: Web, **asked: Any) -> list[tuple[str, str]]:
    response = web.get(f"{VISITS}/alerts", **asked)
    assert response.status_code == 200, response.text
    return [(each["key"]["user"], each["state"]) for each in response.json()["alerts"]]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param({}, ["bob", "ann"], id="all"),
        pytest.param({"firing": "true"}, ["bob"], id="what goes on"),
        pytest.param({"state": ["CONFIRMED", "WITHDRAWN"]}, ["ann"], id="states"),
        pytest.param({"rule": "busy", "limit": 1}, ["bob"], id="the last one"),
        pytest.param({"rule": "quiet"}, [], id="another rule"),
        pytest.param({"key": "ann"}, ["ann"], id="key"),
        pytest.param({"from": "2026-01-05T08:01"}, ["bob"], id="from"),
        pytest.param({"to": "2026-01-05T08:01"}, ["ann"], id="to"),
    ],
)
def test_alerts_are_listed(asked: Web, given: dict[str, Any], found: list[str]) -> None:
    response = asked.send("GET", f"{VISITS}/alerts", params=given)
    assert [each["key"]["user"] for each in response.json()["alerts"]] == found


@pytest.mark.parametrize(
    ("path", "told"),
    [
        pytest.param("/alerts?state=LOUD", "TENTATIVE", id="state"),
        pytest.param("/alerts?rule=a%20b", "rule", id="rule"),
        pytest.param("/alerts?form=2026", "from", id="parameter"),
        pytest.param("/alerts?from=yesterday", "yesterday", id="time"),
        pytest.param("/results/r", "at", id="no time"),
        pytest.param("/results/r?at=2026-01-05T08:00", "key", id="no key"),
        pytest.param("/alert-events?key=a,b", "user", id="key"),
    ],
)
def test_what_cannot_be_asked_says_why(asked: Web, path: str, told: str) -> None:
    response = asked.get(VISITS + path)
    assert (response.status_code, response.json()["type"]) == (400, "/problems/bad-question")
    assert told in response.json()["detail"]


def test_an_alert_has_its_life_and_leads_to_its_messages(asked: Web, alerted: AlertStory) -> None:
    web, known = asked, alerted.episodes()[0].id
    shown = web.get(f"{VISITS}/alerts/{known[:8]}").json()
    assert (shown["id"], [each["revision"] for each in shown["states"]]) == (known, [1, 2])
    assert [each["live_events"] for each in shown["states"]] == [2, 0]
    assert shown["states"][1]["batch_run"] == "B1"
    assert web.get(shown["links"]["answer"]).json()["results"]["n"] == 2
    for name in ("series", "explanation", "messages"):
        assert web.get(shown["links"][name]).status_code == 200
    assert web.get(f"{VISITS}/alerts/nothing").status_code == 404


def test_results_are_listed_and_shown(asked: Web) -> None:
    web = asked
    listed = web.get(f"{VISITS}/results").json()["results"]
    assert [(each["key"]["user"], each["timing"]) for each in listed] == [("bob", "ON_TIME"), ("ann", "FINAL")]
    assert [each["key"]["user"] for each in web.get(f"{VISITS}/results", key="ann").json()["results"]] == ["ann"]
    shown = web.get(f"{VISITS}/results/r", at="2026-01-05T08:00", key="ann").json()
    assert (shown["results"], shown["revision"], shown["outbox"]) == ({"n": 2, "amount": 2}, 2, [])
    assert web.get(f"{VISITS}/results/r", at="2026-01-05T09:00", key="ann").status_code == 404


def test_operators_acknowledge_and_it_is_written_down(guarded: Web, story: AlertStory) -> None:
    known, body = story.episodes()[0].id, {"json": {"note": "seen"}}
    path = f"{VISITS}/alerts/{known}/acknowledge"
    assert guarded.known_as().send("POST", path, **body).status_code == 403
    operator = guarded.known_as(Role.OPERATOR)
    done = operator.send("POST", path, **body).json()
    assert (done["note"], done["acknowledged_by"]) == ("seen", operator.key.split("_")[1])
    assert operator.send("POST", f"{VISITS}/alerts/none/acknowledge", **body).status_code == 404
    lines = [json.loads(line) for line in guarded.settings.audit_file.read_text().splitlines()]
    assert [(each["action"], each["outcome"].partition(":")[0]) for each in lines] == [
        ("acknowledge-alert", outcome) for outcome in ("asked", "done", "asked", "refused")
    ]


def test_a_silence_holds_and_ends(guarded: Web, story: AlertStory) -> None:
    operator = guarded.known_as(Role.OPERATOR)
    wanted = {"rule": "busy", "for": "2h", "note": "a campaign"}
    assert guarded.known_as().send("POST", f"{VISITS}/silences", json=wanted).status_code == 403
    made = operator.send("POST", f"{VISITS}/silences", json=wanted).json()
    (listed,) = operator.get(f"{VISITS}/silences").json()["silences"]
    assert (listed["silence"], listed["rule"], listed["key"]) == (made["silence"], "busy", None)
    busy(story, 3, "cid", 2)
    story.watermark(4)
    assert "cid" not in [each["key"]["user"] for each in story.deliver() if each.get("kind") == "alert"]
    assert operator.send("POST", f"{VISITS}/silences/{made['silence']}/end").status_code == 200
    assert operator.get(f"{VISITS}/silences").json() == {"silences": []}
    assert operator.send("POST", f"{VISITS}/silences/{made['silence']}/end").status_code == 404


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        pytest.param({"rule": "loud", "for": "2h", "note": "x"}, "no rule 'loud'", id="rule"),
        pytest.param({"for": "soon", "note": "x"}, "soon", id="duration"),
        pytest.param({"for": "2h"}, "note", id="no note"),
        pytest.param({"for": "2h", "note": "x", "key": "a,b"}, "user", id="key"),
    ],
)
def test_silences_that_mean_nothing_are_refused(closed: Web, wanted: dict[str, str], told: str) -> None:
    refused = closed.known_as(Role.OPERATOR).send("POST", f"{VISITS}/silences", json=wanted)
    assert refused.status_code == 400
    assert told in refused.json()["detail"]


def test_rows_hold_for_alerts_results_and_silences(guarded: Web, story: AlertStory) -> None:
    ann, bob = story.episodes()
    mine = guarded.known_as(Role.OPERATOR, rows=("visits=ann",))
    assert users(mine) == [("ann", "CONFIRMED")]
    assert users(mine, firing="true", limit=1) == []
    assert mine.get(f"{VISITS}/alerts", key="bob").status_code == 403
    hidden, missing = mine.get(f"{VISITS}/alerts/{bob.id}"), mine.get(f"{VISITS}/alerts/{'f' * 24}")
    assert (hidden.status_code, hidden.json()["detail"]) == (
        404, missing.json()["detail"].replace("f" * 24, bob.id))  # fmt: skip
    assert mine.get(f"{VISITS}/alerts/{ann.id}").status_code == 200
    assert mine.send("POST", f"{VISITS}/alerts/{bob.id}/acknowledge", json={}).status_code == 404
    assert [each["key"]["user"] for each in mine.get(f"{VISITS}/results").json()["results"]] == ["ann"]
    assert mine.get(f"{VISITS}/results/r", at="2026-01-05T08:02", key="bob").status_code == 403
    assert mine.get(f"{VISITS}/alert-reports").status_code == 403
    assert mine.send("POST", f"{VISITS}/backtests", json={}).status_code == 403
    whole, wanted = guarded.known_as(Role.OPERATOR), {"for": "2h", "note": "bob is away"}
    assert mine.send("POST", f"{VISITS}/silences", json=wanted).status_code == 403
    assert mine.send("POST", f"{VISITS}/silences", json={**wanted, "key": "bob"}).status_code == 403
    assert mine.send("POST", f"{VISITS}/silences", json={**wanted, "key": "ann"}).status_code == 200
    numbers = [whole.send("POST", f"{VISITS}/silences", json={**wanted, **more}).json()["silence"]
               for more in ({}, {"key": "bob"})]  # fmt: skip
    listed = mine.get(f"{VISITS}/silences").json()["silences"]
    assert [(each["key"], each["note"]) for each in listed] == [({"user": "ann"}, "bob is away"), (None, None)]
    for number in numbers:
        assert mine.send("POST", f"{VISITS}/silences/{number}/end").status_code == 404
