"""The graphs of all pipelines, as Beam would send them to a runner."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import sales
from apache_beam import coders

from journal.blobs import LocalBlobs
from pipelines import backfill, following, live, publish, reconcile
from pipelines.backfill_plan import plan
from pipelines.live_runs import start_live_run
from pipelines.rereading import Reread
from schemas.compiled import compile_definition
from views.auditing import audit
from views.opening import open_store


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
    (config,), options = backfill.parse(arguments)
    store = open_store(config.home.store)
    store.register(compile_definition(config.definition), config.definition_text)
    return backfill.build([backfill.Job(config, plan(config, store))], options, store, config.scratch)


def live_graph(folder: Path) -> beam.Pipeline:
    """Of a live run of two definitions."""
    named = ["--definition", f"{folder}/sales.yaml", "--definition", f"{folder}/second.yaml"]
    home = ["--home", f"{folder}/live", "--subscription", "projects/p/subscriptions/s"]
    config, options = live.parse([*named, *home])
    (folder / "live" / "journal").mkdir(parents=True)
    store, blobs = open_store(config.home.store), LocalBlobs(config.home.journal)
    live._register(store, config)
    manifest = live._start(config, store, blobs)
    runs = [start_live_run(store, blobs, config.home, manifest, each) for each in config.definitions]
    return live.build(config, options, manifest, runs, store)


def follow_graph(folder: Path) -> beam.Pipeline:
    """Of a follower of two definitions."""
    named = ["--definition", f"{folder}/sales.yaml", "--definition", f"{folder}/second.yaml"]
    config, options = live.parse([*named, "--home", f"{folder}/follow", "--follow"])
    (folder / "follow" / "journal").mkdir(parents=True)
    store = open_store(config.home.store)
    live._register(store, config)
    runs = following.start_followers(config, store, LocalBlobs(config.home.journal))
    return following.build(config, options, runs, store)


def publish_graph(folder: Path) -> beam.Pipeline:
    """Of the publisher."""
    files = ["--files", f"{folder}/sales.jsonl", "--topic", "projects/p/topics/t"]
    config, options = publish.parse(["--definition", f"{folder}/sales.yaml", *files])
    return publish.build(config, options, *publish.read_messages(config))


def reconcile_graph(folder: Path) -> beam.Pipeline:
    """Of a reconcile run that computes tiles again."""
    (folder / "reconcile").mkdir()
    config, options = reconcile.parse(["--definition", f"{folder}/sales.yaml", "--home", f"{folder}/reconcile"])
    store = open_store(config.home.store)
    found = audit(store, compile_definition(config.definition), deduplicates=True)
    return reconcile.build(config, options, found, Reread((), 0, 0, 0, 0), str(folder))


GRAPHS = {
    "backfill": backfill_graph,
    "live": live_graph,
    "follow": follow_graph,
    "publish": publish_graph,
    "reconcile": reconcile_graph,
}


def outputs(pipeline: beam.Pipeline) -> list[Output]:
    """Every collection of the graph with the coder that a runner would use."""
    proto, context = pipeline.to_runner_api(return_context=True)
    found = []
    for transform in proto.components.transforms.values():
        if transform.subtransforms:
            continue
        for tag, name in transform.outputs.items():
            collection = context.pcollections.get_by_id(name)
            coder = context.coders.get_by_id(proto.components.pcollections[name].coder_id)
            label = plain(transform.unique_name) + ("" if tag in ("None", "out", "0") else f"[{tag}]")
            found.append(Output(label, coder, collection.element_type is type(None)))
    return sorted(found, key=lambda output: output.label)


def parts(coder: Any) -> Iterator[Any]:
    """A coder and all that it is made of."""
    yield coder
    inner = [getattr(coder, name, None) for name in ("_elem_coder", "_value_coder", "_key_coder")]
    components = list(coder._get_component_coders() or []) if hasattr(coder, "_get_component_coders") else []
    known = {id(one): one for one in [*inner, *components] if isinstance(one, coders.Coder)}
    for component in known.values():
        yield from parts(component)


FALLBACKS = (
    coders.FastPrimitivesCoder,
    coders.PickleCoder,
    coders.DillCoder,
    coders.coders.DeterministicFastPrimitivesCoder,
    coders.coders.DeterministicFastPrimitivesCoderV2,
)


def falls_back(coder: Any) -> bool:
    """Whether a coder, or any part of it, would pickle what it doesn't know."""
    return any(isinstance(part, FALLBACKS) or "Pickle" in type(part).__name__ for part in parts(coder))


def labels(pipeline: beam.Pipeline) -> list[str]:
    """The labels of all transforms, sorted; a runner finds the state of a step by its label."""
    proto = pipeline.to_runner_api()
    names = [plain(transform.unique_name) for transform in proto.components.transforms.values()]
    return sorted(name for name in names if name and not name.startswith("ref_"))


def plain(label: str) -> str:
    """Without the lines of Beam's own source."""
    return re.sub(r"core\.py:\d+", "core.py", label)
