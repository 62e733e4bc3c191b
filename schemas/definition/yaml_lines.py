"""A small, safe reader of YAML that knows the line of every field.

It reads the part of YAML 1.2 that a definition needs: mappings with text keys, lists, texts, numbers, true, false,
null. Unlike in YAML 1.1, `no`, `on`, `12:30` and `2013-01-01` are texts. Aliases, tags, more than one document,
duplicate keys, deep nesting and large files are errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tandem.schemas.errors import DefinitionError

__all__ = ["MAX_BYTES", "Document", "Path", "field_text", "read"]

MAX_BYTES: Final = 1_000_000
_MAX_DEPTH: Final = 64
_MAX_NODES: Final = 20_000

Path = tuple[str | int, ...]
"""The place of a value: keys of mappings and indices of lists, from the top."""

_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,30}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?", re.ASCII)
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def field_text(path: Path) -> str:
    """A path as messages show it: `windows.four_weeks.size`, `key[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True)
class Document:
    """The content of a YAML file, with line numbers."""

    value: dict[str, Any]
    lines: dict[Path, int]
    """The line of each field and list item, counted from 1."""
    file: str | None

    def line(self, path: Path) -> int:
        """The line of the field, or of the nearest field around it that the file holds, else 1."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str, file: str | None = None) -> Document:
    """Read one document whose top level is a mapping. Raises DefinitionError with `file` and line."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise DefinitionError(f"more than {MAX_BYTES:,} bytes; a definition is a short text", file=file)
    try:
        _check_events(text, file)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise DefinitionError(f"not YAML: {problem}", file=file, line=mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError) as error:
        raise DefinitionError(f"not YAML: {' '.join(str(error).split())}", file=file) from None
    if not isinstance(root, MappingNode):
        found = "an empty file" if root is None else "a list" if isinstance(root, SequenceNode) else "a single value"
        raise DefinitionError(f"found {found}; a definition is a mapping of fields, such as 'name: flights'", file=file)
    lines: dict[Path, int] = {}
    value = _mapping(root, (), lines, file)
    return Document(value, lines, file)


def _check_events(text: str, file: str | None) -> None:
    """Reject what could make building the tree costly, before it is built: events are parsed one by one, without
    recursion.
    """
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        problem = _event_problem(event)
        nodes += isinstance(event, NodeEvent)
        documents += isinstance(event, DocumentStartEvent)
        depth += isinstance(event, (MappingStartEvent, SequenceStartEvent))
        depth -= isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent))
        if depth > _MAX_DEPTH:
            problem = f"nested more than {_MAX_DEPTH} levels deep"
        elif nodes > _MAX_NODES:
            problem = f"more than {_MAX_NODES:,} values"
        elif documents > 1:
            problem = "a second document ('---'); write one definition a file"
        if problem:
            raise DefinitionError(problem, file=file, line=event.start_mark.line + 1 if event.start_mark else None)


def _event_problem(event: Event) -> str | None:
    if isinstance(event, AliasEvent):
        return f"alias '*{event.anchor}'; aliases are not allowed, write the value out"
    if isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent)) and event.tag is not None:
        return f"tag '{event.tag}'; tags are not allowed"
    return None


def _mapping(node: MappingNode, path: Path, lines: dict[Path, int], file: str | None) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, ScalarNode):
            raise DefinitionError("a field name must be a text", field=field_text(path), file=file, line=line)
        key = str(key_node.value)
        at = (*path, key)
        if key in result:
            message = f"written twice, first in line {lines[at]}; write each field once"
            raise DefinitionError(message, field=field_text(at), file=file, line=line)
        lines[at] = line
        result[key] = _value(value_node, at, lines, file)
    return result


def _value(node: Node, path: Path, lines: dict[Path, int], file: str | None) -> Any:
    if isinstance(node, MappingNode):
        return _mapping(node, path, lines, file)
    if isinstance(node, SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            items.append(_value(item, (*path, index), lines, file))
        return items
    text = str(node.value)
    # a plain scalar has no style; a quoted one is always a text
    return _plain(text) if getattr(node, "style", None) is None else text


def _plain(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
