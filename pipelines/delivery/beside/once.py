"""Delivers at a backfill's end what it has made due."""

from __future__ import annotations

from tandem.pipelines.delivery.beside.rounds import Say, run_round
from tandem.pipelines.delivery.deliverer import Deliverer, holder_name
from tandem.pipelines.delivery.sources import has_sources
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.models import Definition
from tandem.views.store import ViewStore

__all__ = ["deliver_once"]


def deliver_once(store: ViewStore, definition: Definition, say: Say) -> None:
    """Send the records that a backfill has made due, unless another process delivers; messages that can't be sent wait
    for a deliverer.
    """
    if not has_sources(definition):
        return
    deliverer = Deliverer(store, compile_definition(definition), holder_name())
    done = run_round(deliverer, say)
    deliverer.close()
    if done is None:
        say(f"{definition.name}: results are left to the process that delivers them")
    else:
        say(f"{definition.name}: {done.revisions:,} revisions of results, {done.sent:,} messages sent")
