"""Messages and identities that are put together of texts are what JSON says of the values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from without_runner.result_stories import Event, Story, definition_of

from tandem.schemas.json_values import compact_json, plain_texts, plain_value
from tandem.views.results.clocks import Timing
from tandem.views.results.revisions.answering import Found
from tandem.views.results.revisions.revising import Revision, identity_of

AWKWARD = ["ann", 'a"b\\c', "\u00fc\u2028\n\x01", "1e5", "", '["x"],"timing":"EARLY"']


def plain_data() -> st.SearchStrategy[Any]:
    numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    leaves = st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"]))
    return st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab\u00fc1e"), inner), max_leaves=8
    )


@example(1e-05, False)
@example([0.0001, -2.5e-05, 1e16, 1e-07], True)
@given(plain_data(), st.booleans())
def test_compact_json_is_what_json_writes(value: Any, sorted_names: bool) -> None:
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sorted_names)
    assert compact_json(value, sorted_names=sorted_names) == expected


def columns_of_results() -> st.SearchStrategy[list[Any]]:
    numbers = st.integers(-(2**70), 2**70) | st.floats() | st.none() | st.booleans()
    return st.lists(numbers) | st.lists(plain_data() | st.decimals() | st.binary(), max_size=5)


@example([1e-05, 2.0])
@example([1e16, None, float("nan")])
@given(columns_of_results())
def test_texts_of_a_column_are_those_of_each_value(values: list[Any]) -> None:
    plain = [plain_value(value) for value in values]
    shown, stored = plain_texts(values)
    assert shown == [compact_json(value) for value in plain]
    assert stored == [compact_json(value, sorted_names=True) for value in plain]


@pytest.mark.parametrize("answer", [None, '{"n":1}', '{"who":"\\"\u00fc\\\\"}'])
@pytest.mark.parametrize("user", AWKWARD)
def test_identities_are_those_of_the_list_as_json(user: str, answer: str | None) -> None:
    key = json.dumps([user], ensure_ascii=False, separators=(",", ":"))
    revision = Revision(Found(-5, 7, 7, key, 1, 0, answer, "FINAL", 0), Timing.FINAL, None)
    text = json.dumps(["visits", "r", -5, key, 3, "FINAL", 7, answer], ensure_ascii=False)
    expected = hashlib.sha256(text.encode()).hexdigest()[:32]
    assert identity_of(definition_of("{window: 1m, to: log}"), "r", revision, 3) == expected


@pytest.mark.parametrize("mode", ["accumulating", "retracting", "discarding"])
def test_awkward_keys_come_through(tmp_path: Path, mode: str) -> None:
    story = Story(tmp_path / "v.db", definition_of(f"{{window: 1m, mode: {mode}, to: log}}"))
    story.serve()
    story.live(*(Event(0.1, amount=2, user=user) for user in AWKWARD))
    story.watermark(1)
    sent = story.deliver()
    story.live(*(Event(0.2, amount=3, user=user) for user in AWKWARD))
    late = story.deliver()
    assert sorted(message["key"]["user"] for message in sent) == sorted(AWKWARD)
    total = {"accumulating": 5, "retracting": 5, "discarding": 3}[mode]
    assert {message["results"]["amount"] for message in late} == {total}
    assert {json.dumps(message.get("replaces")) for message in late} == {
        json.dumps({"revision": 1, "results": {"n": 1, "amount": 2}}) if mode == "retracting" else "null"
    }
    assert all(list(message["results"]) == ["n", "amount"] for message in sent)
    story.close()
