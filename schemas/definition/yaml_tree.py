"""The tree of a YAML text: its values, with the line of each; loaded only where a text isn't plain JSON."""

from __future__ import annotations

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

from tandem.schemas.definition.paths import Path, field_text
from tandem.schemas.definition.plain_json import MAX_DEPTH, MAX_NODES, NUMBERS
from tandem.schemas.errors import DefinitionError

__all__ = ["tree_of"]

_INTEGER, _FLOAT = NUMBERS
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def tree_of(text: str, file: str | None) -> tuple[dict[str, Any], dict[Path, int]]:
    """The mapping that a text holds, and the line of each field and list item. Raises DefinitionError."""
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
    return _mapping(root, (), lines, file), lines


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
        if depth > MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} levels deep"
        elif nodes > MAX_NODES:
            problem = f"more than {MAX_NODES:,} values"
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
