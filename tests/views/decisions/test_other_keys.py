"""A version with other columns in its key is served: what was told under the old key ends under the old names."""

from __future__ import annotations

from pathlib import Path

import pytest
from without_runner.alert_cases import BUSY, busy, story_of
from without_runner.alert_stories import rules_text

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(BUSY, id="the same rule"),
        pytest.param(BUSY.replace("n >= 2", "n >= 3"), id="another rule"),
    ],
)
def test_an_episode_ends_under_the_names_of_its_key(tmp_path: Path, rules: str) -> None:
    story = story_of(tmp_path, BUSY)
    story.store.definitions.register(story.compiled, rules_text(BUSY))
    busy(story, 0)
    story.watermark(1)
    (fired,) = story.deliver()
    compiled = compile_definition(loads(rules_text(rules).replace("key: [user]", "key: [user, id]")))
    other = story.beside(compiled, "M")
    other.catch_up(story)
    other.watermark(1)
    story.deliverer.close()
    story.store.publishing.promote("visits", compiled.version, None, "M")
    other.output = story.output
    other.deliverer = other.new_deliverer("promoted")
    (ended,) = other.deliver()
    assert (ended["episode"], ended["state"], ended["status"]) == (fired["episode"], "SUPERSEDED", "resolved")
    assert fired["key"] == ended["key"] == {"user": "ann"}
    story.close()
