"""Dead letters sent again over HTTP: by operators, noted, and refused in words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from servers.web import Web

from tandem.schemas.errors import UserError
from tandem.serving.installation.replaying import ReplayPlaces, replay_letters
from tandem.serving.security.principals import Role

REPLAY = "/api/v1/definitions/orders/dead-letters/replay"


def test_it_is_for_operators_and_for_letters_that_there_are(guarded: Web) -> None:
    body = {"letters": ["000001-aa/0000/1#0"]}
    assert guarded.known_as().send("POST", REPLAY, json=body).status_code == 403
    refused = guarded.known_as(Role.OPERATOR).send("POST", REPLAY, json=body)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/bad-question")
    lines = guarded.settings.audit_file.read_text().splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["replay-dead-letters"] * 2
    assert json.loads(lines[1])["outcome"].startswith("refused: ")


def test_rows_of_others_are_not_replayed(guarded: Web) -> None:
    some = guarded.known_as(Role.OPERATOR, rows=("orders=mill",))
    assert some.send("POST", REPLAY, json={"letters": ["a#1"]}).status_code == 403


@pytest.mark.parametrize("letter", ["--yes", "$(id)"])
def test_a_letter_is_no_flag_and_no_command(orders: Any, letter: str) -> None:
    home = str(orders.home)
    places = ReplayPlaces(home, f"sqlite:///{home}/views.db", f"{home}/journal", f"{home}/deadletters")
    try:
        said = asyncio.run(replay_letters(places, "orders", [letter]))
    except UserError as error:
        said = [str(error)]
    assert not any("uid=" in line or "Usage" in line for line in said)
    assert said
    assert not any("No such option" in line for line in said)


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    places = ReplayPlaces(str(tmp_path), f"sqlite:///{tmp_path}/views.db", f"{tmp_path}/journal", f"{tmp_path}/letters")
    with pytest.raises(UserError, match="no view store"):
        asyncio.run(replay_letters(places, "orders", ["a#1"]))
