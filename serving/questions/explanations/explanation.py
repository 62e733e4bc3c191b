"""Takes a number apart: its batch runs and live generations, late events, and repairs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tandem.serving.questions.answers.json_values import json_value
from tandem.serving.questions.explanations.explaining import explain
from tandem.serving.questions.selection.instants import time_in
from tandem.views.answers.merging import merge_results
from tandem.views.answers.provenance import Part, Provenance

if TYPE_CHECKING:
    from tandem.serving.questions.answers.asking import Question
    from tandem.views.answers.point import Answer
    from tandem.views.rows import Publication

__all__ = ["explanation_data"]

_OF_ALL_KEYS: Final = frozenset({"in flight", "late", "dead letters", "residue", "conflicts", "missing"})


def explanation_data(
    question: Question, answer: Answer, found: Provenance, publication: Publication | None, *, hide: bool = False
) -> dict[str, Any]:
    """{sentences, batch, live, tiles, late, receipts}; `hide`: without counts over all keys.

    `batch` are the runs that wrote a part, each with its events and results, `live` the generations; `tiles` the rows
    one by one. Parts of results combine to the answer by the rules of their measures, not always by addition.
    """
    certificate, zone = answer.certificate, question.zone
    sentences = explain(question.compiled.definition, certificate, publication, answer.end)
    layers = {layer.id: layer for layer in found.layers}
    batch = _grouped(question, [part for part in found.parts if part.layer], lambda part: part.layer)
    live = _grouped(question, [part for part in found.parts if not part.layer], lambda part: part.generation)
    return {
        "sentences": [{"word": word, "text": text} for word, text in sentences if not (hide and word in _OF_ALL_KEYS)],
        "batch": [
            {
                "run": run,
                "boundary": layers[str(run)].boundary,
                "created_at": time_in(layers[str(run)].created_at),
                "receipt": layers[str(run)].receipt,
                **numbers,
            }
            for run, numbers in batch.items()
        ],
        "live": [{"run": found.scope.live_run, "generation": generation, **n} for generation, n in live.items()],
        "tiles": [
            {
                "start": time_in(part.tile, zone),
                "run": part.layer or found.scope.live_run,
                "generation": part.generation or None,
                "events": part.events,
            }
            for part in found.parts
        ],
        "late": [] if hide else [{"tile": time_in(t, zone), "events": n} for t, n in sorted(found.late.items())],
        "receipts": [layer.receipt for layer in found.layers if layer.receipt is not None],
    }


def _grouped(
    question: Question, parts: list[Part], group_of: Callable[[Part], Hashable]
) -> dict[Hashable, dict[str, Any]]:
    """By group its tiles, events and results."""
    places: dict[Hashable, int] = {}
    groups = np.array([places.setdefault(group_of(part), len(places)) for part in parts], np.int64)
    name = question.compiled.definition.name
    results = merge_results(question.compiled, [part.states for part in parts], groups, len(places), name)
    return {
        group: {
            "tiles": int((groups == place).sum()),
            "events": sum(part.events for part in parts if group_of(part) == group),
            "results": {each: json_value(results[place][each], question.zone) for each in question.results},
        }
        for group, place in places.items()
    }
