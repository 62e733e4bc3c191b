"""Definitions as a server keeps them: compiled once, however often live writes, and anew when they are others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tandem.serving.api.store import catalogue as kept
from tandem.serving.api.store.catalogue import Catalogue
from tandem.serving.questions.selection.naming import registered
from tandem.serving.security.principals import LOCAL
from tandem.views.storage.tables import definitions


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were compiled."""
    texts = list[str]()

    def noted(name: str, text: str) -> Any:
        texts.append(text)
        return registered(name, text)

    monkeypatch.setattr(kept, "registered", noted)
    return texts


def test_a_mark_that_moves_compiles_nothing_anew(orders: Any, compiled: list[str]) -> None:
    catalogue = Catalogue(orders.store)
    first = catalogue.compiled("orders", LOCAL, "1")
    assert all(catalogue.compiled("orders", LOCAL, str(mark)) is first for mark in range(2, 50))
    assert len(compiled) == 1


def test_threads_that_wait_for_the_same_mark_compile_once(orders: Any, compiled: list[str]) -> None:
    catalogue = Catalogue(orders.store)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: catalogue.compiled("orders", LOCAL, "1"), range(32)))
    assert (len({id(each) for each in found}), len(compiled)) == (1, 1)


def test_another_text_of_the_same_version_is_read(orders: Any, compiled: list[str]) -> None:
    catalogue = Catalogue(orders.store)
    catalogue.compiled("orders", LOCAL, "1")
    with orders.store.database.write() as connection:
        connection.execute(definitions.update().values(text=definitions.c.text + "\n# listed another revision\n"))
    catalogue.compiled("orders", LOCAL, "2")
    assert len(compiled) == 2
