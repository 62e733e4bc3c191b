"""The graphs of the pipelines: no collection falls back to pickle, labels are unique, and no change goes unnoticed."""

from __future__ import annotations

import os
import re
from difflib import unified_diff

import apache_beam as beam
import pytest
from on_engines.graphs import (
    GRAPHS,
    falls_back,
    labels,
    outputs,
    read_golden,
    record_of,
    text_of,
    write_golden,
    write_inputs,
)

from tandem.runners.plan.findings import Level
from tandem.runners.plan.launch import Engine
from tandem.runners.plan.updates import compared

BEAMS_OWN = {
    r"\w+/Finish/Add/.*": "inside CombineGlobally: its void key and the total, a dict of whole numbers",
    r"\w+/Layers/Total/.*": "inside CombinePerKey: how many states, a whole number",
    r"(Input/Spread|PubSub/Decode/Number)/ReshufflePerKey/.*": "inside Reshuffle: an element with its timestamp, "
    "which may be absent",
    r"LetterTopic/ParDo.*": "inside WriteToPubSub: nothing",
}
"""Collections that Beam makes inside transforms of its own, by label, and what they hold."""

CHANGED = """
the graph of pipeline {name!r} has changed. If that is meant, run this test once with TANDEM_WRITE_GOLDEN=1.
For a job that is running it means:
{broken}
All that changed:
{changed}"""
NOTHING = "nothing: it can be updated in place, and its savepoints can be resumed"


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, beam.Pipeline]:
    folder = tmp_path_factory.mktemp("graphs")
    write_inputs(folder)
    return {name: make(folder) for name, make in GRAPHS.items()}


def beams_own(label: str) -> bool:
    return any(re.fullmatch(pattern, label) for pattern in BEAMS_OWN)


def unexplained(pipeline: beam.Pipeline) -> dict[str, str]:
    """Collections of the project's own transforms that would be pickled: label -> coder."""
    return {
        output.label: str(output.coder)
        for output in outputs(pipeline)
        if falls_back(output.coder) and not output.holds_nothing and not beams_own(output.label)
    }


@pytest.mark.parametrize("name", GRAPHS)
def test_no_collection_of_our_own_falls_back_to_pickle(graphs: dict[str, beam.Pipeline], name: str) -> None:
    assert unexplained(graphs[name]) == {}


@pytest.mark.parametrize("name", GRAPHS)
def test_only_sinks_hold_nothing(graphs: dict[str, beam.Pipeline], name: str) -> None:
    nothing = [o.label for o in outputs(graphs[name]) if o.holds_nothing and not beams_own(o.label)]
    assert all(re.search(r"/(Write|Manifest)$", label) for label in nothing), nothing


def test_every_exception_is_needed(graphs: dict[str, beam.Pipeline]) -> None:
    pickled = [o.label for graph in graphs.values() for o in outputs(graph) if falls_back(o.coder)]
    unused = [pattern for pattern in BEAMS_OWN if not any(re.fullmatch(pattern, label) for label in pickled)]
    assert unused == []


def test_a_collection_that_would_be_pickled_is_found() -> None:
    pipeline = beam.Pipeline()
    rows = pipeline | "Rows" >> beam.Create([1]) | "Things" >> beam.Map(lambda row: object())
    _ = rows | "Pairs" >> beam.Map(lambda row: (1, {row})).with_output_types(tuple[int, set[object]])
    _ = rows | "Lists" >> beam.Map(lambda row: [row]).with_output_types(list[object])
    assert {"Things", "Pairs", "Lists"} <= unexplained(pipeline).keys()


@pytest.mark.parametrize("name", GRAPHS)
def test_labels_are_unique(graphs: dict[str, beam.Pipeline], name: str) -> None:
    found = labels(graphs[name])
    assert sorted(set(found)) == found


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_those_of_running_jobs(graphs: dict[str, beam.Pipeline], name: str) -> None:
    found = record_of(name, graphs[name])
    if os.environ.get("TANDEM_WRITE_GOLDEN"):
        write_golden(name, found)
    known = read_golden(name)
    errors = [one for one in compared(known, found, Engine.FLINK) if one.level is Level.ERROR]
    lines = unified_diff(text_of(known.steps), text_of(found.steps), "written down", "now", lineterm="", n=1)
    broken = "\n".join(f"- {one.line()}" for one in errors) or NOTHING
    assert found == known, CHANGED.format(name=name, broken=broken, changed="\n".join(lines))
