"""Templates of flat JSON objects: everything except their values; most sources write all records alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tandem.formats.text.eight_bytes import PAD

__all__ = ["LITERAL", "NUMBER", "TEXT", "Member", "Template", "template_of"]

TEXT: Final = "text"
NUMBER: Final = "number"
LITERAL: Final = "literal"
"""true, false or null."""

_MEMBER: Final = re.compile(
    rb'([ \t]*)"([^"\\\x00-\x1f]*)"[ \t]*:[ \t]*'
    rb'(?:"(?P<text>[^"\\\x00-\x1f]*)"|(?P<number>-?[0-9][0-9.eE+-]*)|(?P<literal>true|false|null))[ \t]*'
)
_MOST_MEMBERS: Final = 200
_LONGEST: Final = PAD // 2
"""Most bytes between two values."""


@dataclass(frozen=True, slots=True)
class Member:
    """A name in the object, with the kind of its value."""

    before: bytes
    """All bytes between the previous value and this value's first byte, including a text's quote."""
    name: str
    kind: str
    literal: bytes = b""
    """The text of a literal, which is part of the template."""


@dataclass(frozen=True, slots=True)
class Template:
    """A flat object: its members, and the bytes behind the last value (for a text from its closing quote on)."""

    members: tuple[Member, ...]
    after: bytes

    def stop(self, index: int) -> int:
        """The byte that ends the value of a member."""
        following = self.members[index + 1].before if index + 1 < len(self.members) else self.after
        return following[0]


def template_of(record: bytes) -> Template | None:
    """The record's template; None unless it is a flat object without escapes and repeated names."""
    body = record.lstrip(b" \t")
    lead = record[: len(record) - len(body)] + b"{"
    at = len(lead)
    members: list[Member] = []
    if not body.startswith(b"{"):
        return None
    while len(members) < _MOST_MEMBERS:
        found = _MEMBER.match(record, at)
        if found is None:
            return None
        kind = str(found.lastgroup)
        member = Member(lead + record[at : found.start(kind)], found[2].decode(errors="replace"), kind)
        lead = record[found.end(kind) : found.end()]
        if kind == LITERAL:
            member = Member(member.before, member.name, kind, found[kind])
        members.append(member)
        at = found.end()
        sign = record[at : at + 1]
        lead, at = lead + sign, at + 1
        if sign == b"}":
            return _checked(members, lead + record[at:])
        if sign != b",":
            return None
    return None


def _checked(members: list[Member], after: bytes) -> Template | None:
    closing = after.partition(b"}")[2]
    if closing.strip(b" \t") or max(len(member.before) for member in members) > _LONGEST or len(after) > _LONGEST:
        return None
    if len({member.name for member in members}) < len(members) or any("�" in member.name for member in members):
        return None
    return Template(tuple(members), after)
