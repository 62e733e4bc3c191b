"""Cuts the needed fields out of records that the fast decoder can't read whole, such as recursive ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from tandem.formats.avro.types import Type
from tandem.formats.avro.walk import Fault, read_long, write_long
from tandem.formats.avro.written import Layout, is_empty

__all__ = ["Cutter"]

_MOST_IDLE: Final = 100_000
"""Values in a row that may take no bytes."""
_FIXED_SIZES: Final = {"boolean": 1, "float": 4, "double": 8}

Plan = dict[int, "Plan | None"]
"""The fields of a record that are kept, by place; None: the whole field."""


class Cutter:
    """Reduces records of a layout to the fields at some places."""

    def __init__(self, layout: Layout, needed: set[tuple[int, ...]]) -> None:
        self._layout = layout
        self._plan = _plan(needed)
        self.record = _cut_type(layout.record, self._plan)
        """The type of the reduced records."""

    def place(self, path: tuple[int, ...]) -> tuple[int, ...]:
        """The place in reduced records of a needed place."""
        plan, found = self._plan, []
        for at in path:
            found.append(sorted(plan).index(at))
            plan = plan[at] or {}
        return tuple(found)

    def records(self, count: int, data: bytes) -> Iterator[bytes]:
        """The reduced records of a block. Raises Fault."""
        at = 0
        for _ in range(count):
            kept: list[bytes] = []
            at = self._cut(data, at, self._layout.record, self._plan, kept)
            yield b"".join(kept)
        if at != len(data):
            raise Fault(f"{len(data) - at} bytes left over behind the last record")

    def _cut(self, data: bytes, at: int, record: Type, plan: Plan, kept: list[bytes]) -> int:
        for number, part in enumerate(record.parts):
            start = at
            inside = plan.get(number)
            if number not in plan or inside is None:
                at = skip(data, at, part, self._layout.named)
                if number in plan:
                    kept.append(data[start:at])
                continue
            if part.kind == "optional":
                branch, at = read_long(data, at)
                if branch not in (0, 1):
                    raise Fault(f"{record.names[number]}: branch {branch} of a union of 2")
                kept.append(write_long(branch))
                if (branch == 0) == part.null_first:
                    continue
            at = self._cut(data, at, part.value, inside, kept)
        return at


def _skip_block(data: bytes, at: int, kind: Type, todo: list[tuple[Type, int]]) -> int:
    """The end of a block's header, or of the block if it states its size; items of a block without one remain to do."""
    items, at = read_long(data, at)
    if items < 0:
        size, at = read_long(data, at)
        at = _behind(data, at, size)
    if items:
        todo.append((kind, 1))
    if items > 0 and not _no_bytes(kind):
        todo.append((_item(kind), items))
    return at


def skip(data: bytes, at: int, kind: Type, named: Mapping[str, Type]) -> int:
    """The end of the value that starts at `at`; however deeply nested, without recursion. Raises Fault."""
    todo, idle, before = [(kind, 1)], 0, at
    while todo:
        idle, before = (idle + 1, at) if at == before else (0, at)
        if idle > _MOST_IDLE:
            raise Fault("a type that contains itself, always")
        kind, count = todo.pop()
        if count > 1:
            todo.append((kind, count - 1))
        match kind.kind:
            case "record" | "entry":
                todo += [(part, 1) for part in reversed(kind.parts)]
            case "reference":
                todo.append((named[kind.name], 1))
            case "optional" | "union":
                branch, at = read_long(data, at)
                todo.append((_branch(kind, branch), 1))
            case "array" | "map":
                at = _skip_block(data, at, kind, todo)
            case "string" | "bytes":
                size, at = read_long(data, at)
                at = _behind(data, at, size)
            case "int" | "long" | "enum":
                _, at = read_long(data, at)
            case "null":
                pass
            case "fixed":
                at = _behind(data, at, kind.size)
            case _:
                at = _behind(data, at, _FIXED_SIZES[kind.kind])
    return at


def _behind(data: bytes, at: int, size: int) -> int:
    if not 0 <= size <= len(data) - at:
        raise Fault("the record ends too early" if size >= 0 else f"a length of {size}")
    return at + size


def _branch(kind: Type, branch: int) -> Type:
    branches = kind.parts
    if kind.kind == "optional":
        branches = (Type("null"), *kind.parts) if kind.null_first else (*kind.parts, Type("null"))
    if not 0 <= branch < len(branches):
        raise Fault(f"branch {branch} of a union of {len(branches)}")
    return branches[branch]


def _item(kind: Type) -> Type:
    return kind.parts[0] if kind.kind == "array" else Type("entry", parts=(Type("string"), kind.parts[0]))


def _no_bytes(kind: Type) -> bool:
    return kind.kind == "array" and is_empty(kind.parts[0])


def _plan(needed: set[tuple[int, ...]]) -> Plan:
    plan: Plan = {}
    for path in needed:
        at = plan
        for number in path[:-1]:
            inside = at.setdefault(number, {})
            assert inside is not None  # a path ends at a scalar, so none goes through the end of another
            at = inside
        at[path[-1]] = None
    return plan


def _cut_type(record: Type, plan: Plan) -> Type:
    parts = []
    for number in sorted(plan):
        part, inside = record.parts[number], plan[number]
        if inside is None:
            parts.append(part)
        elif part.kind == "optional":
            parts.append(replace(part, parts=(_cut_type(part.parts[0], inside),)))
        else:
            parts.append(_cut_type(part, inside))
    return replace(record, names=tuple(record.names[number] for number in sorted(plan)), parts=tuple(parts))
