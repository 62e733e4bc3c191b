"""Servers over a home whose rules have alerted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples.alerted_home import alerted_home
from servers.web import Web
from without_runner.alert_stories import AlertStory


@pytest.fixture
def story(tmp_path: Path) -> Iterator[AlertStory]:
    made = alerted_home(tmp_path / "home")
    yield made
    made.deliverer.close()
    made.store.close()


@pytest.fixture
def web(story: AlertStory, tmp_path: Path) -> Iterator[Web]:
    """Without authentication."""
    with Web.over(tmp_path / "home") as made:
        made.clock.now = story.now
        yield made


@pytest.fixture
def guarded(story: AlertStory, tmp_path: Path) -> Iterator[Web]:
    """For those with an API key."""
    with Web.over(tmp_path / "home", keys=True) as made:
        made.clock.now = story.now
        yield made


@pytest.fixture(scope="module")
def alerted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertStory]:
    """For tests that change nothing."""
    home = tmp_path_factory.mktemp("alerted") / "home"
    made = alerted_home(home)
    yield made
    made.deliverer.close()
    made.store.close()
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def asked(alerted: AlertStory) -> Iterator[Web]:
    """The server of `alerted`."""
    with Web.over(_home(alerted)) as made:
        made.clock.now = alerted.now
        yield made


@pytest.fixture(scope="module")
def closed(alerted: AlertStory) -> Iterator[Web]:
    """The same, for those with an API key."""
    with Web.over(_home(alerted), keys=True) as made:
        made.clock.now = alerted.now
        yield made


def _home(story: AlertStory) -> Path:
    return Path(str(story.store.database.engine.url.database)).parent
