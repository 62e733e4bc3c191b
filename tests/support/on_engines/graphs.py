"""The graphs of all pipelines, as Beam would send them to a runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from samples import sales

from tandem.journal.storage.blobs import LocalBlobs
from tandem.pipelines import backfill, live, publish, reconcile, windowed
from tandem.pipelines.bounded.building.batch_runs import build
from tandem.pipelines.bounded.plan import plan
from tandem.pipelines.bounded.publishing import Job
from tandem.pipelines.bounded.rereading import Reread
from tandem.pipelines.unbounded import config as live_config
from tandem.pipelines.unbounded import following
from tandem.pipelines.unbounded import native as native_live
from tandem.pipelines.unbounded.live_runs import start_live_run
from tandem.pipelines.unbounded.views import register
from tandem.runners.options.reading import read_arguments
from tandem.runners.plan.graph import Step, falls_back, graph_of, plain, short
from tandem.runners.plan.updates import GraphRecord, load, save
from tandem.schemas.definition.compiled import compile_definition
from tandem.views.reconcile.auditing import audit
from tandem.views.storage.opening import open_store

__all__ = [
    "GRAPHS",
    "Output",
    "falls_back",
    "golden",
    "labels",
    "outputs",
    "read_golden",
    "record_of",
    "text_of",
    "write_golden",
    "write_inputs",
]


@dataclass(frozen=True)
class Output:
    """A collection between two transforms."""

    label: str
    """The label of the transform that gives it, and the tag."""
    coder: Any
    holds_nothing: bool
    """Its element type is None: an output that only says that something was done."""


def write_inputs(folder: Path) -> None:
    """Two definitions on one source and a file of sales."""
    (folder / "sales.yaml").write_text(sales.text())
    (folder / "second.yaml").write_text(sales.text("second", deduplicate=False))
    (folder / "sales.jsonl").write_bytes(sales.Sale("a", 1).payload() + b"\n")


def backfill_graph(folder: Path) -> beam.Pipeline:
    """Of a backfill over files."""
    arguments = ["--definition", f"{folder}/sales.yaml", "--files", f"{folder}/*.jsonl", "--home", f"{folder}/batch"]
    (folder / "batch").mkdir()
    (config,), options = backfill.parse(read_arguments("backfill", arguments))
    store = open_store(config.home.store)
    store.definitions.register(compile_definition(config.definition), config.definition_text)
    return build([Job(config, plan(config, store))], options, store, config.scratch)


def live_graph(folder: Path) -> beam.Pipeline:
    """Of a live run of two definitions."""
    named = ["--definition", f"{folder}/sales.yaml", "--definition", f"{folder}/second.yaml"]
    home = ["--home", f"{folder}/live", "--subscription", "projects/p/subscriptions/s"]
    config, options = live_config.parse(read_arguments("live", [*named, *home]))
    (folder / "live" / "journal").mkdir(parents=True)
    store, blobs = open_store(config.home.store), LocalBlobs(config.home.journal)
    register(store, config)
    manifest = live._start(config, 1, store, blobs)
    runs = [start_live_run(store, blobs, config.home, manifest, each) for each in config.definitions]
    return live.build(config, options, manifest, runs, store)


def follow_graph(folder: Path) -> beam.Pipeline:
    """Of a follower of two definitions."""
    named = ["--definition", f"{folder}/sales.yaml", "--definition", f"{folder}/second.yaml"]
    config, options = live_config.parse(read_arguments("live", [*named, "--home", f"{folder}/follow", "--follow"]))
    (folder / "follow" / "journal").mkdir(parents=True)
    store = open_store(config.home.store)
    register(store, config)
    runs = following.start_followers(config, store, LocalBlobs(config.home.journal))
    return following.build(config, options, runs, store)


def publish_graph(folder: Path) -> beam.Pipeline:
    """Of the publisher."""
    files = ["--files", f"{folder}/sales.jsonl", "--topic", "projects/p/topics/t"]
    config, options = publish.parse(read_arguments("publish", ["--definition", f"{folder}/sales.yaml", *files]))
    return publish.build(config, options, *publish.read_messages(config))


def reconcile_graph(folder: Path) -> beam.Pipeline:
    """Of a reconcile run that computes tiles again."""
    (folder / "reconcile").mkdir()
    config, options = reconcile.parse(
        read_arguments("reconcile", ["--definition", f"{folder}/sales.yaml", "--home", f"{folder}/reconcile"])
    )
    store = open_store(config.home.store)
    found = audit(store, compile_definition(config.definition), deduplicates=True)
    return reconcile.build(config, options, found, Reread((), 0, 0, 0, 0), str(folder))


def windowed_graph(folder: Path) -> beam.Pipeline:
    """Of windowed results over files, with a pane before and behind the one on time."""
    named = ["--definition", f"{folder}/sales.yaml", "--files", f"{folder}/*.jsonl", "--output", f"{folder}/out"]
    config, options = windowed.parse(
        read_arguments("windowed", [*named, "--window", "1m", "--early", "1s", "--lateness", "1h"])
    )
    return windowed.build(config, options, [])


def native_graph(folder: Path) -> beam.Pipeline:
    """Of a live run of two definitions on Beam's own Pub/Sub read."""
    named = ["--definition", f"{folder}/sales.yaml", "--definition", f"{folder}/second.yaml"]
    source = ["--source", "native", "--subscription", "projects/project/subscriptions/clicks"]
    topic = ["--dead-letter-topic", "projects/project/topics/dead"]
    config, options = native_live.parse(read_arguments("live", [*named, "--home", f"{folder}/native", *source, *topic]))
    (folder / "native").mkdir()
    store = open_store(config.live.home.store)
    register(store, config.live)
    return native_live.build(config, options, native_live.start_runs(config, store), store)


GRAPHS = {
    "backfill": backfill_graph,
    "live": live_graph,
    "follow": follow_graph,
    "native": native_graph,
    "publish": publish_graph,
    "reconcile": reconcile_graph,
    "windowed": windowed_graph,
}


def outputs(pipeline: beam.Pipeline) -> list[Output]:
    """Every collection of the graph with the coder that a runner would use."""
    graph, found = graph_of(pipeline), []
    for transform in graph.leaves():
        for tag, name in transform.outputs.items():
            collection = graph.context.pcollections.get_by_id(name)
            label = plain(transform.unique_name) + ("" if tag in ("None", "out", "0") else f"[{tag}]")
            coder = graph.coder(graph.proto.components.pcollections[name].coder_id)
            found.append(Output(label, coder, collection.element_type is type(None)))
    return sorted(found, key=lambda output: output.label)


def labels(pipeline: beam.Pipeline) -> list[str]:
    """The labels of all transforms, sorted; a runner finds the state of a step by its label."""
    proto = pipeline.to_runner_api()
    names = [plain(transform.unique_name) for transform in proto.components.transforms.values()]
    return sorted(name for name in names if name and not name.startswith("ref_"))


def golden(name: str) -> Path:
    """Where the graph of a pipeline is written down."""
    return Path(__file__).parents[2] / "pipelines" / f"golden_{name}.json"


def read_golden(name: str) -> GraphRecord:
    """What is written down; definitions and software are left out, so that only the code can change it."""
    (record,) = load(golden(name))
    return record


def write_golden(name: str, record: GraphRecord) -> None:
    """Write a graph down."""
    save(golden(name), [record])


def record_of(name: str, pipeline: beam.Pipeline) -> GraphRecord:
    """A pipeline's graph as it is written down."""
    return GraphRecord(name, graph_of(pipeline).steps)


def text_of(steps: Mapping[str, Step]) -> list[str]:
    """A graph as lines that can be compared by eye: a step, and what it keeps and gives indented below it."""
    lines = []
    for step in steps.values():
        lines.append(f"{step.label} ({short(step.kind)})")
        lines += [f"    state {name}: {spec}" for name, spec in step.states.items()]
        lines += [f"    timer {name}: {spec}" for name, spec in step.timers.items()]
        lines += [f"    restriction: {step.restriction}"] if step.restriction else []
        lines += [f"    takes {one.coder} in {one.windowing}" for one in step.inputs] if step.keeps else []
        for tag, one in step.outputs.items():
            lines.append(f"    gives{f' {tag}' if tag else ''} {one.coder}{'' if one.bounded else ', unbounded'}")
    return lines
