"""Another version is served: what was sent of the one before is withdrawn where it isn't answered any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oracles.result_laws import check_answers, check_received, check_revisions
from without_runner.result_stories import TEXT, Event, Story, definition_of

from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads

RESULT = "{window: 1h, mode: retracting, to: log}"
MEASURES = "{n: count, amount: {sum: amount}}"


def text_of(tile: str = "1m", key: str = "[user]") -> str:
    text = TEXT.format(result=RESULT, tile=tile, lateness="0s", measures=MEASURES)
    return text.replace("key: [user]", f"key: {key}")


def version_of(tile: str = "1m", key: str = "[user]") -> CompiledDefinition:
    return compile_definition(loads(text_of(tile, key)))


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path / "v.db", definition_of(RESULT))
    story.store.definitions.register(story.compiled, text_of())
    story.serve()
    yield story
    story.close()


def promoted(story: Story, compiled: CompiledDefinition, *, without: list[str]) -> Story:
    """What was sent of the version before is known to who receives what the other one sends."""
    other = story.beside(compiled, "M")
    other.catch_up(story, without=without)
    other.watermark(600)
    story.deliverer.close()
    story.store.publishing.promote("visits", compiled.version, None, "M")
    other.output = story.output
    other.deliverer = other.new_deliverer("promoted")
    return other


def by_key(messages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((m["timing"], m["start"][11:16], str(m["key"]), m["revision"], m["withdrawn"]) for m in messages)


@pytest.mark.parametrize(
    ("compiled", "without", "sent"),
    [
        pytest.param(
            version_of(tile="1h"),
            ["ann"],
            [("LATE", "09:00", "{'user': 'ann'}", 2, True)],
            id="a filter",
        ),
        pytest.param(
            version_of(key="[user, id]"),
            [],
            [
                ("LATE", "08:00", "{'user': 'bob', 'id': '0'}", 1, False),
                ("LATE", "08:00", "{'user': 'bob'}", 2, True),
                ("LATE", "09:00", "{'user': 'ann', 'id': '0'}", 1, False),
                ("LATE", "09:00", "{'user': 'ann'}", 2, True),
            ],
            id="another column of the key",
        ),
    ],
)
def test_what_another_version_does_not_answer_is_withdrawn(
    story: Story, compiled: CompiledDefinition, without: list[str], sent: list[tuple[Any, ...]]
) -> None:
    story.live(Event(0.1, user="bob"), Event(90.5))
    story.watermark(600)
    assert len(story.deliver()) == 2
    other = promoted(story, compiled, without=without)
    assert by_key(other.deliver()) == sent
    check_revisions(other.output.sent)
    check_received(other)
    check_answers(other)


def test_rolling_back_to_the_version_before_sends_its_answers_again(story: Story) -> None:
    story.live(Event(0.1, user="bob"), Event(90.5))
    story.watermark(600)
    story.deliver()
    compiled = version_of(key="[user, id]")
    other = promoted(story, compiled, without=[])
    story.store.definitions.register(compiled, text_of(key="[user, id]"))
    other.deliver()
    other.deliverer.close()
    first = story.store.publishing.publications("visits")[-1].ordinal
    story.store.publishing.roll_back("visits", first, accept_late=True)
    story.deliverer = story.new_deliverer("back")
    assert by_key(story.deliver()) == [
        ("LATE", "08:00", "{'user': 'bob', 'id': '0'}", 2, True),
        ("LATE", "08:00", "{'user': 'bob'}", 3, False),
        ("LATE", "09:00", "{'user': 'ann', 'id': '0'}", 2, True),
        ("LATE", "09:00", "{'user': 'ann'}", 3, False),
    ]
    check_revisions(story.output.sent)
    check_answers(story)
