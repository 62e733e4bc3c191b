"""What a store serves of `sales` is what plain Python says of the events, and nothing is unaccounted for."""

from __future__ import annotations

from collections.abc import Sequence

from samples import sales
from samples.sales import Sale, differences, expected

from tandem.views.answers.all_steps import all_answers
from tandem.views.store import ViewStore

__all__ = ["check_served"]


def check_served(store: ViewStore, wanted: Sequence[Sale]) -> None:
    """The answers are the oracle's, and every event that the batch run received is accounted for."""
    found = {(row.key, row.start): row.results for row in all_answers(store, sales.compiled())}
    assert differences(found, expected(wanted)) == []
    served = store.publishing.served("sales")
    assert served is not None
    assert served.batch_run is not None
    assert set(store.residues.of_batch_run(served.batch_run).values()) == {0}
