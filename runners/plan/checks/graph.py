"""Checks of the graph, whatever the options: pure functions of the graph and the runner."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.portability.api import beam_runner_api_pb2 as api

from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.graph import GROUP_BY_KEY, falls_back, plain
from tandem.runners.plan.launch import Engine, Launch

__all__ = ["CHECKS", "check_coders", "check_foreign", "check_labels", "check_native_read", "check_triggers"]

NATIVE_READ: Final = "beam:transform:pubsub_read:v1"
_BY_ELEMENTS: Final = ("element_count", "after_processing_time", "after_synchronized_processing_time")


def check_foreign(launch: Launch) -> Iterator[Finding]:
    """Steps of other languages, which a Python worker can't run."""
    for transform in launch.graph.leaves():
        if not _is_foreign(launch, transform.environment_id):
            continue
        docker = launch.engine in (Engine.FLINK, Engine.SPARK, Engine.PORTABLE) and launch.environment == "DOCKER"
        level = Level.NOTE if launch.engine is Engine.DATAFLOW or docker else Level.ERROR
        yield Finding(
            level,
            "cross-language",
            f"is of another language, and needs a worker of its own; {launch.engine} starts Python workers",
            plain(transform.unique_name),
            "use the Python transform, or a runner whose workers are containers (Dataflow, --environment_type=DOCKER)",
        )


def _is_foreign(launch: Launch, environment: str) -> bool:
    known = launch.graph.proto.components.environments
    if not environment or environment not in known:
        return False
    urn, payload = known[environment].urn, known[environment].payload
    if urn == "beam:env:docker:v1":
        return b"python" not in payload and b"tandem" not in payload and environment != _default(launch)
    return environment != _default(launch) and known[environment] != known.get(_default(launch))


def _default(launch: Launch) -> str:
    return str(launch.graph.context.default_environment_id())


def check_native_read(launch: Launch) -> Iterator[Finding]:
    """Beam's own Pub/Sub read, which only Dataflow has."""
    if launch.engine in (Engine.DATAFLOW, Engine.OLD_DIRECT):
        return
    for transform in launch.graph.leaves():
        if transform.spec.urn == NATIVE_READ:
            yield Finding(
                Level.ERROR,
                "native-read",
                f"ReadFromPubSub runs on Dataflow alone; {launch.engine} would refuse it, or read nothing",
                plain(transform.unique_name),
                "use the journaled source (--source journal, the default)",
            )


def check_labels(launch: Launch) -> Iterator[Finding]:
    """Labels that another version of the same code would not have: state is found by labels."""
    unique = launch.options.view_as(StandardOptions).auto_unique_labels
    for step in launch.graph.steps.values():
        if step.label in launch.graph.beams_own:
            continue
        if found := re.search(r"<lambda at [^>]*:\d+>", step.label):
            yield _unstable(launch, step.label, f"{found[0]} changes with any line put before it", step.keeps)
        elif unique and any(_has(launch, base) for base in _without_suffixes(step.label)):
            yield _unstable(launch, step.label, "a suffix made it unique, and is another each time", step.keeps)


def _without_suffixes(label: str) -> Iterator[str]:
    """The label and its enclosing ones, as before --auto_unique_labels made them unique."""
    parts = label.split("/")
    for upto in range(1, len(parts) + 1):
        if found := re.fullmatch(r"(.+)_[0-9a-f]{6}", "/".join(parts[:upto])):
            yield found[1]


def _has(launch: Launch, label: str) -> bool:
    return any(known == label or known.startswith(f"{label}/") for known in launch.graph.steps)


def _unstable(launch: Launch, label: str, why: str, keeps: bool) -> Finding:
    level = Level.ERROR if keeps and launch.streaming else Level.WARNING
    remedy = 'name the step, "Label" >> transform: a savepoint or an update in place finds steps by their labels'
    return Finding(level, "unstable-label", f"its label isn't stable: {why}", label, remedy)


def check_coders(launch: Launch) -> Iterator[Finding]:
    """Elements that would be pickled, since Beam has no coder for their type."""
    graph, seen = launch.graph, set[str]()
    for transform in graph.leaves():
        label = plain(transform.unique_name)
        for name in transform.outputs.values():
            collection = graph.context.pcollections.get_by_id(name)
            coder = graph.coder(graph.proto.components.pcollections[name].coder_id)
            fine = collection.element_type is type(None) or label in graph.beams_own or label in seen
            if fine or not falls_back(coder):
                continue
            seen.add(label)
            yield Finding(
                Level.WARNING,
                "pickled-elements",
                f"its elements would be pickled ({collection.element_type}): slow, not the same bytes each time, and"
                " what decodes them runs what they hold",
                label,
                "register a coder for the type, and name it with .with_output_types(...)",
            )


def check_triggers(launch: Launch) -> Iterator[Finding]:
    """Windows and triggers that the engine refuses, or runs differently."""
    graph = launch.graph
    for transform in graph.leaves():
        label = plain(transform.unique_name)
        work = graph.par_do(transform)
        if launch.engine is Engine.PRISM and work and work.restriction_coder_id and work.state_specs:
            yield Finding(
                Level.ERROR,
                "stateful-splittable",
                "Prism can't run a DoFn that is splittable and has state",
                label,
                "make it two steps",
            )
        if transform.spec.urn == GROUP_BY_KEY and label not in graph.beams_own:
            for name in transform.inputs.values():
                yield from _of_windowing(launch, label, graph.windowing(name))


def _of_windowing(launch: Launch, label: str, strategy: Any) -> Iterator[Finding]:
    kinds = set(_kinds(strategy.trigger))
    many = bool(kinds & {*_BY_ELEMENTS, "repeat", "always"}) or _has_early(strategy.trigger)
    if launch.engine is Engine.PRISM:
        yield from _of_prism_windowing(launch, label, strategy, kinds, many)
    if launch.engine is Engine.FN_API and kinds & {"after_processing_time", "after_synchronized_processing_time"}:
        what = "no time passes in a bounded run: such triggers fire at the end"
        yield Finding(Level.NOTE, "trigger", what, label, "none needed")
    if many and launch.streaming and strategy.accumulation_mode == api.AccumulationMode.ACCUMULATING:
        what = "each firing sends all elements of the window again: quadratic on every runner"
        remedy = "discard panes, and fold them in a stateful DoFn"
        yield Finding(Level.WARNING, "accumulating", what, label, remedy)


def _of_prism_windowing(launch: Launch, label: str, strategy: Any, kinds: set[str], many: bool) -> Iterator[Finding]:
    sessions = strategy.window_fn.urn == "beam:window_fn:session_windows:v1"
    merging = strategy.merge_status == api.MergeStatus.NEEDS_MERGE
    if merging and (not sessions or kinds & set(_BY_ELEMENTS)):
        what = "Prism refuses windows that merge, but for sessions without triggers that count or wait"
        yield Finding(Level.ERROR, "trigger", what, label, "use fixed windows and merge when reading, or Flink")
    elif many and launch.streaming:
        yield Finding(
            Level.WARNING,
            "trigger",
            "Prism 2.77 forgets a trigger's state whenever a pane of the same key and window is committed: elements may"
            " wait until the window is given up",
            label,
            "hold elements in a stateful DoFn of the global window instead, or use Flink",
        )


def _has_early(trigger: Any) -> bool:
    if trigger.WhichOneof("trigger") != "after_end_of_window":
        return False
    return bool(trigger.after_end_of_window.HasField("early_firings"))


def _kinds(trigger: Any) -> Iterator[str]:
    """The kinds of a trigger and of all triggers in it."""
    kind = trigger.WhichOneof("trigger")
    if kind is None:
        return
    yield kind
    chosen = getattr(trigger, kind)
    for each in chosen.DESCRIPTOR.fields:
        if each.message_type is None or each.message_type.name != "Trigger":
            continue
        value = getattr(chosen, each.name)
        several = not isinstance(value, api.Trigger)
        for one in value if several else [value] if chosen.HasField(each.name) else []:
            yield from _kinds(one)


CHECKS: Final[tuple[Callable[[Launch], Iterator[Finding]], ...]] = (
    check_foreign,
    check_native_read,
    check_labels,
    check_coders,
    check_triggers,
)
