"""The graphs of the pipelines: no collection falls back to pickle, and labels are unique and stable."""

from __future__ import annotations

import os
import re
from pathlib import Path

import apache_beam as beam
import pytest
from graphs import GRAPHS, falls_back, labels, outputs, write_inputs

GOLDEN = Path(__file__).parent

BEAMS_OWN = {
    r"\w+/Finish/Add/.*": "inside CombineGlobally: its void key and the total, a dict of whole numbers",
    r"Input/Spread/ReshufflePerKey/.*": "inside Reshuffle: an element with its timestamp, which may be absent",
    r"Journal/Lanes/Create/.*": "inside ReadFromUnboundedSource: the source itself, once, when the job starts",
}
"""Collections that Beam makes inside transforms of its own, by label, and what they hold."""

CHANGED = """
the labels of pipeline {name!r} have changed. Runners find the state and the timers of a step by its label: a live job
that is running can't be updated to this version in place, and a savepoint of it can't be resumed. Its users must drain
it and start a new run, which replays the journal; say so in CHANGELOG.md. If that is meant, write the new labels down:
run this test once with TANDEM_WRITE_GOLDEN=1.
gone: {gone}
new: {new}"""


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
def test_labels_are_those_of_running_jobs(graphs: dict[str, beam.Pipeline], name: str) -> None:
    path, found = GOLDEN / f"golden_{name}.txt", labels(graphs[name])
    if os.environ.get("TANDEM_WRITE_GOLDEN"):
        path.write_text("\n".join(found) + "\n", encoding="utf-8")
    known = path.read_text(encoding="utf-8").splitlines()
    gone, new = sorted(set(known) - set(found)), sorted(set(found) - set(known))
    assert found == known, CHANGED.format(name=name, gone=gone, new=new)
