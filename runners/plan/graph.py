"""A pipeline's graph as plain values: the steps with their coders, windowing, state and timers.

Read from the protocol buffers that Beam would send to a runner, so a graph means the same to every runner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import apache_beam as beam
from apache_beam import coders
from apache_beam.portability.api import beam_runner_api_pb2 as api
from google.protobuf import text_format

__all__ = ["GROUP_BY_KEY", "PAR_DO", "Graph", "Output", "Step", "falls_back", "graph_of", "plain", "short"]

PAR_DO: Final = "beam:transform:pardo:v1"
GROUP_BY_KEY: Final = "beam:transform:group_by_key:v1"
_WINDOW_PAYLOADS: Final[dict[str, Any]] = {
    "beam:window_fn:fixed_windows:v1": "FixedWindowsPayload",
    "beam:window_fn:sliding_windows:v1": "SlidingWindowsPayload",
    "beam:window_fn:session_windows:v1": "SessionWindowsPayload",
}
_FALLBACKS: Final = (
    coders.FastPrimitivesCoder,
    coders.PickleCoder,
    coders.DillCoder,
    coders.coders.DeterministicFastPrimitivesCoder,
    coders.coders.DeterministicFastPrimitivesCoderV2,
)


@dataclass(frozen=True, slots=True)
class Output:
    """A collection between two steps."""

    coder: str
    windowing: str
    bounded: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A transform without inner ones."""

    label: str
    kind: str
    """The transform's URN."""
    inputs: tuple[Output, ...] = ()
    outputs: Mapping[str, Output] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    """Kind and coder by the state's name."""
    timers: Mapping[str, str] = field(default_factory=dict)
    """Time domain and coder by the timer's name."""
    restriction: str | None = None
    """Coder of a splittable DoFn's restriction; None for other steps."""

    @property
    def keeps(self) -> bool:
        """Whether a runner keeps state for this step, in a savepoint or over an update in place."""
        return bool(self.states or self.timers or self.restriction or (self.kind == GROUP_BY_KEY))


@dataclass(frozen=True)
class Graph:
    """A pipeline in the form in which it would be sent."""

    proto: Any
    context: Any
    beams_own: frozenset[str] = frozenset()
    """Labels, simplified by `plain`, of the steps inside Beam's own composites, whose names users can't choose."""

    @cached_property
    def steps(self) -> dict[str, Step]:
        """By label, sorted; labels are simplified by `plain`."""
        steps = [self._step(transform) for transform in self.leaves()]
        return {step.label: step for step in sorted(steps, key=lambda step: step.label)}

    def leaves(self) -> Iterator[Any]:
        """The transforms without inner ones, as protocol buffers, by label."""
        found = (t for t in self.proto.components.transforms.values() if not t.subtransforms and t.unique_name)
        return iter(sorted(found, key=lambda transform: transform.unique_name))

    def coder(self, coder_id: str) -> Any:
        """A coder as an object."""
        return self.context.coders.get_by_id(coder_id)

    def par_do(self, transform: Any) -> Any:
        """The payload of a ParDo, None for other transforms."""
        return api.ParDoPayload.FromString(transform.spec.payload) if transform.spec.urn == PAR_DO else None

    def windowing(self, collection_id: str) -> Any:
        """The windowing strategy of a collection."""
        components = self.proto.components
        return components.windowing_strategies[components.pcollections[collection_id].windowing_strategy_id]

    def unbounded(self) -> bool:
        """Whether any collection has no end."""
        collections = self.proto.components.pcollections.values()
        return any(one.is_bounded == api.IsBounded.UNBOUNDED for one in collections)

    def _step(self, transform: Any) -> Step:
        work = self.par_do(transform)
        outputs = transform.outputs.items()
        return Step(
            plain(transform.unique_name),
            transform.spec.urn,
            tuple(self._output(name) for _, name in sorted(transform.inputs.items())),
            {"" if tag in ("None", "out", "0") else tag: self._output(name) for tag, name in sorted(outputs)},
            {name: self._state(spec) for name, spec in sorted(work.state_specs.items())} if work else {},
            {name: self._timer(spec) for name, spec in sorted(work.timer_family_specs.items())} if work else {},
            self.coder_text(work.restriction_coder_id) if work and work.restriction_coder_id else None,
        )

    def _output(self, name: str) -> Output:
        collection = self.proto.components.pcollections[name]
        bounded = collection.is_bounded == api.IsBounded.BOUNDED
        return Output(self.coder_text(collection.coder_id), windowing_text(self.windowing(name)), bounded)

    def _state(self, spec: Any) -> str:
        kind = spec.WhichOneof("spec")
        chosen = getattr(spec, kind)
        inner = [self.coder_text(value) for name, value in _fields(chosen) if name.endswith("coder_id") and value]
        return f"{kind.removesuffix('_spec')}<{','.join(inner)}>"

    def _timer(self, spec: Any) -> str:
        domain = api.TimeDomain.Enum.Name(spec.time_domain).lower().replace("_", " ")
        return f"{domain}, {self.coder_text(spec.timer_family_coder_id)}"

    def coder_text(self, coder_id: str) -> str:
        """A coder's name with those of its components."""
        known = self.proto.components.coders[coder_id]
        urn = known.spec.urn
        if "pickled" in urn:
            return _class_text(self.coder(coder_id))
        inner = [self.coder_text(one) for one in known.component_coder_ids]
        return short(urn) + (f"<{','.join(inner)}>" if inner else "")


def graph_of(pipeline: beam.Pipeline) -> Graph:
    """The graph of a pipeline that was built and not run."""
    proto, context = pipeline.to_runner_api(return_context=True)
    return Graph(proto, context, frozenset(_beams_own(pipeline.transforms_stack[0], False)))


def _beams_own(applied: Any, inside: bool) -> Iterator[str]:
    if inside:
        yield plain(applied.full_label)
    of_beam = applied.transform is not None and type(applied.transform).__module__.startswith("apache_beam.")
    for part in applied.parts:
        yield from _beams_own(part, inside or of_beam)


def short(urn: str) -> str:
    """The significant part of a URN."""
    parts = urn.split(":")
    return parts[2] if len(parts) > 2 else urn


def plain(label: str) -> str:
    """A label without line numbers of Beam's own source."""
    return re.sub(r"core\.py:\d+", "core.py", label)


def windowing_text(strategy: Any) -> str:
    """Window, trigger, lateness and accumulation, in one line."""
    urn = strategy.window_fn.urn
    payload = _WINDOW_PAYLOADS.get(urn)
    known: Any = ""
    if payload is not None:
        from apache_beam.portability.api import standard_window_fns_pb2

        known = getattr(standard_window_fns_pb2, payload).FromString(strategy.window_fn.payload)
    size = f" ({_one_line(known)})" if payload is not None else ""
    parts = [f"{short(urn)}{size}", f"trigger {_one_line(strategy.trigger)}"]
    parts.append(api.AccumulationMode.Enum.Name(strategy.accumulation_mode).lower())
    parts.append(f"lateness {strategy.allowed_lateness} ms")
    parts.append(api.OutputTime.Enum.Name(strategy.output_time).lower().replace("_", " "))
    return ", ".join(parts)


def _one_line(message: Any) -> str:
    return str(text_format.MessageToString(message, as_one_line=True)).strip()


def _fields(message: Any) -> Iterator[tuple[str, Any]]:
    return ((each.name, getattr(message, each.name)) for each in message.DESCRIPTOR.fields)


def _class_text(coder: Any) -> str:
    kind = type(coder)
    inner = [_class_text(one) for one in _held(coder)]
    return f"{kind.__module__}.{kind.__qualname__}" + (f"<{','.join(inner)}>" if inner else "")


def _held(coder: Any) -> list[Any]:
    return [one for _, one in sorted(getattr(coder, "__dict__", {}).items()) if isinstance(one, coders.Coder)]


def _parts(coder: Any) -> Iterator[Any]:
    """A coder and all its components."""
    yield coder
    inner = [getattr(coder, name, None) for name in ("_elem_coder", "_value_coder", "_key_coder")]
    components = list(coder._get_component_coders() or []) if hasattr(coder, "_get_component_coders") else []
    known = {id(one): one for one in [*inner, *components] if isinstance(one, coders.Coder)}
    for component in known.values():
        yield from _parts(component)


def falls_back(coder: Any) -> bool:
    """Whether a coder, or any component of it, would pickle unknown types."""
    return any(isinstance(part, _FALLBACKS) or "Pickle" in type(part).__name__ for part in _parts(coder))
