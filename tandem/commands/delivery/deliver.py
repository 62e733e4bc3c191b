"""`tandem deliver`: sends the results and alerts of definitions, until it is ended, or once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.named import compiled_named
from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, LogFormatOption, OtlpEndpointOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import DeliveryError, UserError
from tandem.schemas.telemetry.logs import log_as
from tandem.schemas.telemetry.traces import trace_to

if TYPE_CHECKING:
    from tandem.pipelines.delivery.deliverer import Deliverer
    from tandem.views.store import ViewStore

__all__ = ["deliver"]


def deliver(
    definitions: Annotated[
        list[str], typer.Argument(metavar="DEFINITION...", help="files of definitions, or names of registered ones")
    ],
    once: Annotated[bool, typer.Option("--once", help="send what can be sent now, and end")] = False,
    every: Annotated[str, typer.Option(metavar="DURATION", help="how often to look for what is due")] = "500ms",
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    log_format: LogFormatOption = "plain",
    otlp_endpoint: OtlpEndpointOption = None,
) -> None:
    """Send results and alerts to their outputs, one deliverer a definition at a time; others wait until it ends."""
    from tandem.schemas.time.durations import parse_duration

    log_as(log_format)
    trace_to(otlp_endpoint)

    try:
        pause = parse_duration(every)
    except ValueError as error:
        raise UserError(f"--every: {error}") from None
    with existing_store(Home.of(home, store)) as views:
        deliverers = dict(_deliverers(definitions, views))
        try:
            if once:
                _once(deliverers)
            else:
                _for_ever(deliverers, pause / 1e6)
        finally:
            for deliverer in deliverers.values():
                deliverer.close()


def _deliverers(definitions: list[str], store: ViewStore) -> list[tuple[str, Deliverer]]:
    from tandem.pipelines.delivery.deliverer import Deliverer, holder_name
    from tandem.pipelines.delivery.sources import has_sources

    found, holder = [], holder_name()
    for each in definitions:
        compiled = compiled_named(each, store)
        if not has_sources(compiled.definition):
            raise UserError(f"{compiled.definition.name} has no results or rules: its definition declares none")
        store.definitions.register(compiled)
        found.append((compiled.definition.name, Deliverer(store, compiled, holder)))
    return found


def _once(deliverers: dict[str, Deliverer]) -> None:
    failed: list[str] = []
    for name, deliverer in deliverers.items():
        done = deliverer.run_once()
        if done is None:
            raise UserError(f"{name}: another process delivers its results; `tandem status {name}` says which")
        say(f"{name}: {done.revisions:,} revisions, {done.sent:,} messages sent{_held_back(deliverer)}", err=True)
        failed += done.failed
        if done.refused:
            failed.append(f"{done.refused:,} messages were refused; `tandem results dead {name}` lists them")
    if failed:
        raise DeliveryError("; ".join(failed))


def _held_back(deliverer: Deliverer) -> str:
    """The results that aren't sent yet because their trigger holds them back."""
    from tandem.schemas.certificate import time_text

    held = deliverer.held_back()
    if not held.windows:
        return ""
    what = "1 window is" if held.windows == 1 else f"{held.windows:,} windows are"
    first = f" until {time_text(held.until)}" if held.until is not None else ""
    if held.windows == 1:
        return f"; {what} held back by its trigger{first}"
    return f"; {what} held back by their triggers{first and f', the first{first}'}"


def _for_ever(deliverers: dict[str, Deliverer], pause: float) -> None:
    """Deliver until Ctrl-C. An output's error is printed once, and again when it changes."""
    stated: dict[str, tuple[str, ...]] = {}
    while True:
        for name, deliverer in deliverers.items():
            done = deliverer.run_once()
            failed = ("another process delivers; waiting for its lease",) if done is None else done.failed
            if failed and stated.get(name) != failed:
                for line in failed:
                    say(f"{name}: {line}", err=True)
            if done is None or failed or done.sent:
                stated[name] = failed
        time.sleep(pause)
