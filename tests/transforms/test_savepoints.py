"""Savepoints name no module of ours but the one that is permanent."""

from __future__ import annotations

import base64
import bz2
import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from apache_beam.internal import cloudpickle_pickler, pickler
from on_engines import kept_state
from samples import sales

from tandem.schemas.definition.loading import loads
from tandem.transforms import savepoints
from tandem.transforms.sources.decoding import source_readings
from tandem.transforms.sources.journaled import JournaledSource
from tandem.transforms.sources.lane_elements import ElementSource

OPTIONS = """
  zone: Europe/Paris
  nulls: [NA]
  csv: {delimiter: ";"}
  booleans: {"true": [yes], "false": [no]}
  time_format: "%Y-%m-%d %H:%M:%S"
"""


def _globals(data: bytes) -> set[str]:
    """Names of all that a pickle imports, of pickles within it, too."""
    found: set[str] = set()
    texts: list[str] = []
    for code, argument, _ in pickletools.genops(data):
        if code.name == "GLOBAL":
            found.add(str(argument).replace(" ", "."))
        elif code.name == "STACK_GLOBAL":
            found.add(".".join(texts[-2:]))
        if isinstance(argument, str):
            texts.append(argument)
        elif isinstance(argument, bytes) and argument.startswith(b"\x80"):
            found |= _globals(argument)
    return found


def plain(data: bytes) -> bytes:
    """Beam writes a pickle packed and as base64."""
    return data if data.startswith(b"\x80") else bz2.decompress(base64.b64decode(data))


def _ours(data: bytes) -> set[str]:
    return {name for name in _globals(data) if name.startswith("tandem")}


@pytest.fixture(params=["lane", "follower", "source with options"])
def source(request: pytest.FixtureRequest) -> ElementSource:
    """One of each kind, and one whose definition uses parts of its own."""
    if request.param == "follower":
        followed: ElementSource = kept_state._followed_source()[0]
        return followed
    lane: JournaledSource = kept_state._lane_source()[0]
    if request.param == "lane":
        return lane
    text = sales.text().replace("\nsource:", "\nsource:" + OPTIONS.rstrip("\n"), 1)
    readings = source_readings([loads(text)])
    return JournaledSource(lane.journal, lane.run, lane.broker, lane.config, readings, number=1)


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle_pickler.dumps], ids=["pickle", "Beam"])
def test_only_the_permanent_function_is_named(source: ElementSource, dumps: Callable[[object], bytes]) -> None:
    assert _ours(plain(dumps(source))) == {"tandem.transforms.savepoints.restored"}


def test_a_source_comes_back_as_it_was(source: ElementSource) -> None:
    assert pickle.loads(pickle.dumps(source)) == source
    assert pickler.loads(pickler.dumps(source)) == source


def test_a_class_without_a_permanent_name_is_refused(source: ElementSource) -> None:
    """A later field of a source would put its module's name into savepoints, and nobody would know."""

    @dataclass
    class Later:
        number: int = 1

    Later.__module__ = "tandem.later"
    object.__setattr__(source, "journal", Later())
    with pytest.raises(pickle.PicklingError, match="Later has no permanent name"):
        pickle.dumps(source)


def test_every_name_is_of_one_class() -> None:
    assert len(set(savepoints.PERMANENT.values())) == len(savepoints.PERMANENT)
