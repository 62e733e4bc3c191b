"""Pages: what they show, that what they show is text, and who is let in."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from samples.orders_home import DEFINITION, HOUR, Installation, Order, serve_orders
from servers.web import Web

from tandem.serving.security.api_keys import KeyFile
from tandem.serving.security.principals import Role

PAGES = ("/", "/definitions/orders", "/definitions/orders/runs", "/definitions/orders/dead-letters")
HTML = {"accept": "text/html"}
ROOT = Path(__file__).parents[2]


class Seen(HTMLParser):
    """What a page loads, and what of it would run or style in place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.loaded += [
            str(given[name]) for name in ("src", "href") if tag in ("script", "link", "img") and name in given
        ]
        if tag == "style" or (tag == "script" and "src" not in given and given.get("type") != "application/json"):
            self.inline.append(tag)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        self.ids += [str(given["id"])] if "id" in given else []


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_and_load_nothing_but_our_files(asked: Web, path: str) -> None:
    page = asked.get(path, headers=HTML)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    seen = Seen(page.text)
    assert seen.inline == []
    assert len(seen.ids) == len(set(seen.ids))
    for file in seen.loaded:
        assert file.startswith("/static/")
        assert asked.get(file).status_code == 200


def test_scripts_are_modules_that_load_one_another_only(asked: Web) -> None:
    for file in (ROOT / "serving/dashboard/static").glob("*.js"):
        text = file.read_text()
        assert not re.search(r"\b(eval|innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b", text), file
        for other in re.findall(r'from "\./([\w.]+)"', text):
            assert asked.get(f"/static/{other}").status_code == 200
    assert "MIT License" in asked.get("/static/uplot/LICENSE").text


def test_the_overview_has_one_word_and_its_reason(web: Web) -> None:
    shown = web.get("/", headers=HTML).text
    assert re.search(r"<h1>.*Healthy</h1>", shown)
    assert "live is on time" in shown
    web.clock.now += HOUR
    shown = web.get("/", headers=HTML).text
    assert re.search(r"<h1>.*Stale</h1>", shown)
    assert "the watermark is 1h00m behind the clock" in shown


def test_a_definitions_page_answers_its_url(asked: Web) -> None:
    page = asked.get(
        "/definitions/orders", headers=HTML, key="mill,EUR", from_="2026-01-05T08:00", to="2026-01-05T10:00"
    ).text
    rows = re.findall(r"<time[^>]*>([^<]*)</time></th><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)<", page)
    assert rows == [("2026-01-05 09:00:00Z", "1", "1"), ("2026-01-05 08:00:00Z", "3", "3")]
    assert "PROVISIONAL" in page
    assert "2 of 4 events come from live" in page


def test_what_a_page_cant_show_it_says(asked: Web) -> None:
    page = asked.get("/definitions/orders", headers=HTML, key="mill,EUR", from_="yesterday", to="2026-01-05T10:00")
    assert page.status_code == 200
    assert re.search(r'role="alert">from .*yesterday', page.text)
    nowhere = asked.get("/definitions/nothing", headers=HTML)
    assert (nowhere.status_code, nowhere.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "no definition" in nowhere.text


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'


def test_texts_of_others_are_shown_as_they_are(tmp_path: Path) -> None:
    made = Installation(tmp_path, DEFINITION)
    serve_orders(made)
    made.live("000001-aa", [Order(9.5, 90.0, shop=EVIL, generation=4)])
    dead = made.Segment(EVIL, 1, 4, received=1, routed=0, dead=1)
    made.store.live.write_segments(made.version, "000001-aa", [dead])
    with Web.over(made.home) as web:
        for path in (*PAGES, "/definitions/orders?key=" + httpx.QueryParams({"k": EVIL})["k"]):
            for url in (path, f"/definitions/orders/dead-letters?reason={EVIL}&status=all", f"/login?next={EVIL}"):
                page = web.send("GET", url, headers=HTML)
                assert Seen(page.text).inline == [], url
                assert "<script>alert" not in page.text
                assert "49" not in re.findall(r"img src=x[^<]{0,40}", page.text)
    made.store.close()


def sign_in(web: Web, key: str, going: str = "/") -> httpx.Response:
    return web.send("POST", "/login", data={"key": key, "next": going}, headers={"origin": "http://localhost:8080"})


def test_people_sign_in_with_a_key_and_out(guarded: Web) -> None:
    asked = guarded.get("/definitions/orders", headers=HTML, key="mill,EUR")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=%2Fdefinitions%2Forders%3Fkey%3Dmill%252CEUR"
    assert guarded.get("/login", headers=HTML, next="/definitions/orders").status_code == 200
    wrong = sign_in(guarded, "tandem_x_y")
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
    key = guarded.known_as().key
    signed = sign_in(guarded, key, "/definitions/orders?key=mill%2CEUR")
    assert (signed.status_code, signed.headers["location"]) == (303, "/definitions/orders?key=mill%2CEUR")
    cookie = signed.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert key not in cookie
    session = {"cookie": cookie.split(";")[0], **HTML}
    assert guarded.get("/", headers=session).status_code == 200
    KeyFile(guarded.settings.key_file).revoke(key.split("_")[1], guarded.clock.now)
    assert guarded.get("/", headers=session).status_code == 303


def test_a_session_ends_when_its_owner_says_so_and_by_itself(guarded: Web) -> None:
    for end in ("sign out", "time"):
        session = {"cookie": sign_in(guarded, guarded.known_as().key).headers["set-cookie"].split(";")[0]}
        assert guarded.get("/", headers=session).status_code == 200
        if end == "sign out":
            guarded.send("POST", "/logout", headers={**session, "origin": "http://localhost:8080"})
        else:
            guarded.clock.now += 13 * HOUR
        assert guarded.get("/", headers=session).status_code == 401


@pytest.mark.parametrize(
    "going", ["//evil.example", "https://evil.example", "/\\evil.example", "/\r\nset-cookie: a=b", ""]
)
def test_signing_in_leads_nowhere_else(guarded: Web, going: str) -> None:
    assert sign_in(guarded, guarded.known_as().key, going).headers["location"] == "/"


def test_a_page_of_another_site_cant_use_somebodys_session(guarded: Web) -> None:
    session = sign_in(guarded, guarded.known_as(Role.OPERATOR).key).headers["set-cookie"].split(";")[0]
    for sent in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        tried = guarded.send(
            "POST", "/api/v1/definitions/orders/roll-back", json={"publication": 1}, headers={"cookie": session, **sent}
        )
        assert (tried.status_code, tried.json()["type"]) == (403, "/problems/wrong-origin")


def test_buttons_are_there_for_operators(guarded: Web, orders: Any) -> None:
    orders.batch("b-2", 2, [Order(8.5, 8.0, generation=2)], parent="b-1", built_for="000001-aa")
    orders.store.publishing.publish("orders", orders.version, "b-2", "000001-aa")
    shown = [guarded.known_as(role).get("/definitions/orders/runs", headers=HTML).text for role in Role]
    assert ["data-roll-back" in page for page in shown] == [False, True]


def test_who_sees_some_keys_sees_them_on_pages_too(guarded: Web) -> None:
    oak = guarded.known_as(rows=("orders=oak",))
    page = oak.get("/definitions/orders", headers=HTML).text
    assert "oak" in page
    assert "mill" not in page
    assert "You see some keys" in oak.get("/", headers=HTML).text
    for path in PAGES[2:]:
        assert oak.get(path, headers=HTML).status_code == 403
    assert oak.get("/definitions/orders", headers=HTML, key="mill,EUR").status_code == 403
