"""API keys, roles and rows: who gets in, what they may do, and what stays hidden from whom."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from samples.orders_home import DAY_START, HOUR, Order
from servers.web import Web

from tandem.schemas.certificate import Facts, judge
from tandem.schemas.errors import UserError
from tandem.serving.api.settings import Settings, check_settings
from tandem.serving.security.api_keys import KeyFile
from tandem.serving.security.hidden_counts import without_numbers
from tandem.serving.security.principals import Role
from tandem.serving.security.row_filters import parse_rows

ORDERS = "/api/v1/definitions/orders"
KEY = {"key": "mill,EUR"}
DAY = {"window": "day", "at": "2026-01-05T12:00"}
PATHS = ("answer", "series", "top", "keys", "export", "certificate", "status", "publications", "dead-letters", "drift")


@pytest.mark.parametrize("path", ["/api/v1/definitions", *(f"{ORDERS}/{path}" for path in PATHS), "/openapi.json"])
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"authorization": "Bearer tandem_00000000_x"}, id="unknown"),
        pytest.param({"authorization": "Bearer "}, id="empty"),
        pytest.param({"authorization": "Basic dGFuZGVtOng="}, id="basic"),
        pytest.param({"cookie": "tandem_session=guessed"}, id="cookie"),
    ],
)
def test_nobody_gets_in_without_a_key(guarded_only: Web, path: str, sent: dict[str, str]) -> None:
    response = guarded_only.get(path, headers=sent)
    assert (response.status_code, response.json()["type"]) == (401, "/problems/not-authenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.fixture(scope="module")
def guarded_only(read_only: tuple[Web, Any]) -> Any:
    with Web.over(read_only[1].home, keys=True) as web:
        yield web


def test_a_key_opens_until_it_is_revoked_or_expired(guarded: Web) -> None:
    lasting, short = guarded.known_as(), guarded.known_as(expires_at=guarded.clock.now + HOUR)
    assert [each.get(ORDERS).status_code for each in (lasting, short)] == [200, 200]
    guarded.clock.now += HOUR
    assert [each.get(ORDERS).status_code for each in (lasting, short)] == [200, 401]
    KeyFile(guarded.settings.key_file).revoke(lasting.key.split("_")[1], guarded.clock.now)
    assert lasting.get(ORDERS).status_code == 401


def test_a_wrong_secret_of_a_known_key_opens_nothing(guarded: Web) -> None:
    known = guarded.known_as()
    prefix, number, secret = known.key.split("_", 2)
    for wrong in (
        secret[:-1],
        secret + "x",
        secret.swapcase(),
        "",
        KeyFile(guarded.settings.key_file).entries()[0].hash,
    ):
        sent = {"authorization": f"Bearer {prefix}_{number}_{wrong}"}
        assert guarded.get(ORDERS, headers=sent).status_code == 401


def test_no_secret_is_kept(guarded: Web) -> None:
    secret = guarded.known_as().key.split("_", 2)[2]
    assert secret not in guarded.settings.key_file.read_text()
    assert guarded.settings.key_file.stat().st_mode & 0o077 == 0


def test_definitions_that_arent_in_a_keys_scope_arent_there(guarded: Web) -> None:
    other = guarded.known_as(definitions=frozenset({"clicks"}))
    assert other.get("/api/v1/definitions").json() == {"definitions": []}
    there, nowhere = other.get(ORDERS), other.get("/api/v1/definitions/nothing")
    assert (there.status_code, there.json()["detail"]) == (404, nowhere.json()["detail"].replace("nothing", "orders"))


def test_rows_hold_everywhere(guarded: Web) -> None:
    oak = guarded.known_as(rows=("orders=oak",))
    assert oak.get(f"{ORDERS}/answer", key="oak,EUR", **DAY).json()["results"]["orders"] == 1
    for path in ("answer", "series", "certificate"):
        for key in ("mill,EUR", "nowhere,EUR"):  # whether it exists or not
            refused = oak.get(f"{ORDERS}/{path}", key=key, **DAY)
            assert (refused.status_code, refused.json()["type"]) == (403, "/problems/not-allowed")
    assert oak.get(f"{ORDERS}/export", key="mill,EUR").status_code == 403
    assert [each["shop"] for each in oak.get(f"{ORDERS}/keys").json()["keys"]] == ["oak"]
    top = oak.get(f"{ORDERS}/top", **DAY).json()
    assert (top["keys"], top["total"]["events"], top["certificate"]["events"]) == (1, 1, 1)
    exported = oak.get(f"{ORDERS}/export").text
    assert "oak" in exported
    assert "mill" not in exported
    for path in ("status", "publications", "dead-letters", "drift", "receipts"):
        assert oak.get(f"{ORDERS}/{path}").status_code == 403


def test_counts_of_others_are_hidden(guarded: Web, orders: Any) -> None:
    orders.live("000001-aa", [Order(9.9, 1.0, generation=4)], lost=7)
    dead = orders.Segment("000001-aa/0000", 5, 4, 23, 0, dead=23)
    orders.store.live.write_segments(orders.version, "000001-aa", [dead])
    whole = guarded.known_as().get(f"{ORDERS}/answer", **KEY, **DAY).json()["certificate"]
    mine = guarded.known_as(rows=("orders=mill",)).get(f"{ORDERS}/answer", **KEY, **DAY).json()["certificate"]
    assert (whole["in_flight"], whole["dead_letters"]) == (7, 23)
    assert (mine["in_flight"], mine["dead_letters"], mine["pending_late"]) == (None, None, None)
    assert (mine["status"], mine["events"]) == (whole["status"], whole["events"])
    assert "dead letters are unresolved and might belong here" in mine["reasons"]
    assert not re.search(r"\b(7|23)\b", json.dumps(mine["reasons"]))


def test_every_reason_is_told_without_counts() -> None:
    facts = Facts(
        end=DAY_START, lateness=HOUR, published=True, batch=True, live=True, boundary=1, watermark=None, events=10,
        live_events=4, pending_late=7771, dead_letters=7772, in_flight=7773, residue=7774, missing=("secret-7775",),
    )  # fmt: skip
    told = without_numbers(judge(facts)[1])
    assert len(told) == len(judge(facts)[1])
    assert "777" not in "".join(told)


@pytest.mark.parametrize(
    ("rows", "key", "visible"),
    [
        pytest.param("orders=mill", '["mill","EUR"]', True, id="first-value"),
        pytest.param("orders=mill,EUR", '["mill","EUR"]', True, id="whole-key"),
        pytest.param("orders=mill,USD", '["mill","EUR"]', False, id="second-value"),
        pytest.param("orders=mil", '["mill","EUR"]', False, id="not-a-text-prefix"),
        pytest.param("orders=mill,EUR,x", '["mill","EUR"]', False, id="longer-than-the-key"),
        pytest.param("orders=7", "[7]", True, id="number-as-text"),
        pytest.param("orders=[7]", '["7"]', False, id="text-isnt-a-number"),
        pytest.param("orders=null", "[null]", False, id="null-isnt-a-text"),
        pytest.param("orders=[null]", "[null]", True, id="null"),
        pytest.param("orders=[1]", "[true]", False, id="true-isnt-one"),
        pytest.param("other=x", '["mill","EUR"]', True, id="another-definition"),
    ],
)
def test_rows_are_by_whole_values(rows: str, key: str, visible: bool) -> None:
    holds = parse_rows([rows]).visible("orders")
    assert (holds is None or holds(key)) is visible


@pytest.mark.parametrize("text", ["orders", "orders=", "=mill", "orders=[", "orders=[]", "orders=[[1]]"])
def test_rows_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--rows"):
        parse_rows([text])


def test_viewers_change_nothing(web: Web, guarded: Web) -> None:
    for who in (web, guarded.known_as()):
        for path, body in (("roll-back", {"publication": 1}), ("dead-letters/drop", {"letters": ["a#1"], "note": "x"})):
            refused = who.send("POST", f"{ORDERS}/{path}", json=body)
            assert (refused.status_code, refused.json()["type"]) == (403, "/problems/not-allowed")
    assert not web.settings.audit_file.exists()


def test_what_operators_do_is_in_the_audit_log(guarded: Web, orders: Any) -> None:
    orders.batch("b-2", 2, [Order(8.5, 8.0, generation=2)], parent="b-1", built_for="000001-aa")
    orders.store.publishing.publish("orders", orders.version, "b-2", "000001-aa")
    operator = guarded.known_as(Role.OPERATOR)
    done = operator.send("POST", f"{ORDERS}/roll-back", json={"publication": 1, "note": "line\nbreak \x1b[31m"})
    assert (done.status_code, done.json()["boundary"], orders.store.publishing.served("orders").boundary) == (200, 1, 1)
    refused = operator.send("POST", f"{ORDERS}/roll-back", json={"publication": 99})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/refused")
    text = guarded.settings.audit_file.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["outcome"].split(":")[0] for line in lines] == ["asked", "done", "asked", "refused"]
    assert {line["who"] for line in lines} == {operator.key.split("_")[1]}
    assert lines[0]["about"] == {"definition": "orders", "publication": 1, "note": "line\nbreak \x1b[31m"}
    assert "\x1b" not in text
    assert guarded.settings.audit_file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("host", "keys", "names", "words"),
    [
        pytest.param("127.0.0.1", False, (), None, id="loopback"),
        pytest.param("::1", False, (), None, id="loopback-6"),
        pytest.param("localhost", False, (), None, id="localhost"),
        pytest.param("0.0.0.0", False, (), "others could ask", id="everywhere"),
        pytest.param("192.168.1.5", False, (), "others could ask", id="network"),
        pytest.param("example.com", False, (), "others could ask", id="name"),
        pytest.param("192.168.1.5", True, (), None, id="network-with-keys"),
        pytest.param("0.0.0.0", True, (), "by which name", id="everywhere-without-a-name"),
        pytest.param("0.0.0.0", True, ("tandem.example.com",), None, id="everywhere-with-a-name"),
    ],
)
def test_others_are_let_in_with_keys_only(
    tmp_path: Any, host: str, keys: bool, names: tuple[str, ...], words: str | None
) -> None:
    settings = Settings(tmp_path, "", "", host=host, keys=keys, names=names)
    if words is None:
        check_settings(settings)
    else:
        with pytest.raises(UserError, match=words):
            check_settings(settings)
