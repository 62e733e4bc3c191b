"""Compares a graph with a running one that it would replace: which state of the running job it would find."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.graph import Graph, Output, Step, short
from tandem.runners.plan.launch import Engine
from tandem.schemas.errors import UserError

__all__ = ["FORMAT", "GraphRecord", "compared", "digest_of_state", "load", "save"]

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class GraphRecord:
    """A stored graph, with further properties that decide whether its state can be taken over."""

    name: str
    steps: Mapping[str, Step]
    """The steps, by label."""
    definitions: Mapping[str, str] = field(default_factory=dict)
    """The definitions' versions by name."""
    lanes: int | None = None
    software: Mapping[str, str] = field(default_factory=dict)
    """Versions of Tandem, Beam and Python."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the runner by which it finds state."""

    @classmethod
    def of(
        cls,
        name: str,
        graph: Graph,
        definitions: Mapping[str, str],
        lanes: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> GraphRecord:
        """The record of a graph that was built by this software."""
        software = {
            "tandem": version("tandem-beam"),
            "beam": version("apache-beam"),
            "python": ".".join(platform.python_version_tuple()[:2]),
        }
        return cls(name, graph.steps, definitions, lanes, software, settings or {})

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> GraphRecord:
        """The inverse of `asdict`. Raises KeyError, TypeError for other data."""
        steps = {label: _step(one) for label, one in data["steps"].items()}
        return cls(data["name"], steps, data["definitions"], data["lanes"], data["software"], data.get("settings", {}))


def _step(data: Mapping[str, Any]) -> Step:
    inputs = tuple(Output(**one) for one in data["inputs"])
    outputs = {tag: Output(**one) for tag, one in data["outputs"].items()}
    return Step(**{**data, "inputs": inputs, "outputs": outputs})


def save(path: Path, records: Sequence[GraphRecord]) -> None:
    """Write records as JSON. Raises UserError where the file can't be written."""
    text = json.dumps({"format": FORMAT, "graphs": [asdict(one) for one in records]}, indent=1, sort_keys=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: the graph can't be written: {error.strerror}") from None


def load(path: Path) -> tuple[GraphRecord, ...]:
    """The records that `save` wrote. Raises UserError for any other file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise UserError(f"{path}: graphs of format {data['format']!r}; this version reads format {FORMAT}")
        return tuple(GraphRecord.from_data(one) for one in data["graphs"])
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}; `tandem plan ... --save {path}` writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a graph that `tandem plan --save` wrote: {error}") from None


def compared(running: GraphRecord, planned: GraphRecord, engine: Engine) -> Iterator[Finding]:
    """The findings about replacing `running` by `planned` with its state (a savepoint, an update in place)."""
    yield from _facts(running, planned)
    for label, old in running.steps.items():
        new = planned.steps.get(label)
        if new is None:
            yield _gone(old, planned, running, engine)
        elif old.keeps or new.keeps:
            yield from _changed(old, new)
        elif engine is Engine.DATAFLOW and old.outputs != new.outputs:
            yield Finding(
                Level.ERROR,
                "update-coder",
                "its elements are coded otherwise, and Dataflow keeps elements between steps",
                label,
                _DRAIN,
            )
    for label, new in planned.steps.items():
        if label not in running.steps and new.keeps:
            yield Finding(
                Level.WARNING,
                "update-new-state",
                "is new and keeps state: it begins with nothing, although the job has been running",
                label,
                "if it must know what came before, start a new run instead, which replays the journal",
            )


_DRAIN: Final = "drain the running job (`tandem stop`), and start a new run, which replays the journal"


def _facts(running: GraphRecord, planned: GraphRecord) -> Iterator[Finding]:
    yield from _of_definitions(running, planned)
    if None not in (running.lanes, planned.lanes) and running.lanes != planned.lanes:
        what = (
            f"the run has {running.lanes} lanes for good, and --lanes is {planned.lanes}: a resumed run keeps its own"
        )
        yield Finding(Level.WARNING, "update-lanes", what, "--lanes", "leave it out, or start a new run")
    yield from _of_settings(running, planned)
    for name in ("beam", "python"):
        before, now = running.software.get(name), planned.software.get(name)
        if before != now:
            what = f"the job runs {name} {before}, this is {now}: what the source keeps is pickled, and may not be read"
            remedy = "take a savepoint first and keep it; where it can't be read, a new run replays the journal"
            yield Finding(Level.WARNING, "update-software", what, "", remedy)


def _of_definitions(running: GraphRecord, planned: GraphRecord) -> Iterator[Finding]:
    for name, old in running.definitions.items():
        new = planned.definitions.get(name)
        if new is not None and new != old:
            what = f"the job runs version {old}, this is version {new}: its states are of other measures, tiles or keys"
            remedy = (
                "let it catch up beside the one that runs (`tandem live --follow`), and promote it (`tandem promote`)"
            )
            yield Finding(Level.ERROR, "update-definition", what, name, remedy)


def _of_settings(running: GraphRecord, planned: GraphRecord) -> Iterator[Finding]:
    for name, before in running.settings.items():
        if (now := planned.settings.get(name, before)) != before:
            what = f"is {now} now, and {before} for the running job: the names of its state depend on it"
            remedy = "leave it as it was, or start a new run, which replays the journal"
            yield Finding(Level.ERROR, "update-setting", what, f"--{name}", remedy)


def _gone(old: Step, planned: GraphRecord, running: GraphRecord, engine: Engine) -> Finding:
    alike = [
        label
        for label, new in planned.steps.items()
        if label not in running.steps and (new.kind, new.states, new.timers) == (old.kind, old.states, old.timers)
    ]
    renamed = f" (renamed to {alike[0]}?)" if alike else ""
    if old.keeps:
        kept = ", ".join([*old.states, *old.timers]) or ("its lanes' marks" if old.restriction else "what it groups")
        what = f"is gone{renamed}, and with it what the running job keeps in it: {kept}"
        return Finding(Level.ERROR, "update-state-lost", what, old.label, f"keep the label, or {_DRAIN}")
    if engine is Engine.DATAFLOW:
        remedy = "pass --transform_name_mapping, or drain the job"
        return Finding(
            Level.ERROR, "update-step-gone", f"is gone{renamed}: Dataflow refuses the update", old.label, remedy
        )
    return Finding(Level.NOTE, "update-step-gone", f"is gone{renamed}; it keeps nothing", old.label, "none needed")


def _changed(old: Step, new: Step) -> Iterator[Finding]:
    for kind, before, after in (("state", old.states, new.states), ("timer", old.timers, new.timers)):
        for name, spec in before.items():
            if after.get(name) != spec:
                now = f"is {after[name]} now" if name in after else "is gone"
                what = f"{kind} {name} {now}; the running job has {spec}"
                yield Finding(Level.ERROR, f"update-{kind}", what, old.label, f"keep it, or {_DRAIN}")
    if old.restriction != new.restriction:
        what = (
            f"what the source still has to do is coded as {new.restriction} now; the running job has {old.restriction}"
        )
        yield Finding(Level.ERROR, "update-coder", what, old.label, f"keep the coder, or {_DRAIN}")
    if old.kind != new.kind:
        what = f"is a {short(new.kind)} now; in the running job it is a {short(old.kind)}"
        yield Finding(Level.ERROR, "update-state-lost", what, old.label, _DRAIN)
    if _coders(old) != _coders(new):
        what = f"takes {', '.join(_coders(new))} now; in the running job {', '.join(_coders(old))}"
        yield Finding(Level.ERROR, "update-coder", what, old.label, f"keep the type and its coder, or {_DRAIN}")
    if _windowings(old) != _windowings(new):
        what = f"its windows are {'; '.join(_windowings(new))} now; in the running job {'; '.join(_windowings(old))}"
        yield Finding(Level.ERROR, "update-windowing", what, old.label, f"keep the windowing, or {_DRAIN}")


def _coders(step: Step) -> tuple[str, ...]:
    return tuple(one.coder for one in step.inputs)


def _windowings(step: Step) -> tuple[str, ...]:
    return tuple(one.windowing for one in step.inputs)


def digest_of_state(steps: Mapping[str, Step]) -> str:
    """Eight hexadecimal digits that change whenever `compared` would refuse an update, since kept state would be lost.

    Over the steps that keep state, with their labels, states, timers, and the coders and windowing of their inputs.
    """
    kept = {
        label: [step.kind, dict(step.states), dict(step.timers), step.restriction, _coders(step), _windowings(step)]
        for label, step in sorted(steps.items())
        if step.keeps
    }
    return hashlib.blake2b(json.dumps(kept, sort_keys=True).encode(), digest_size=4).hexdigest()
