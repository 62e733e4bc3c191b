"""Reads and checks a Parquet file's footer before any library sees it, and writes one of the needed columns.

A footer holds much that nothing uses, and a flipped bit in any of it crashes Parquet's own readers. So it is read here,
its metadata of the needed columns are checked against the file, and the library gets those columns alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, NamedTuple

from tandem.formats.files.pieces import FileRef, takes_too_much
from tandem.formats.parquet.thrift_compact import (
    BINARY,
    LIST,
    STRUCT,
    Field,
    Items,
    Struct,
    ThriftError,
    read_struct,
    write_struct,
)
from tandem.schemas.errors import SourceFileError

__all__ = ["INT96", "Footer", "Leaf", "RowGroup", "chunk_range", "number_of", "read_footer"]

_MAGIC: Final = b"PAR1"
_ENCRYPTED: Final = b"PARE"
_TAIL: Final = 8
_SHARE: Final = 16
"""The divisor of a piece's memory that gives the largest footer: its decoded form is larger."""
_I32: Final = 5
INT96: Final = 3
_FIXED: Final = 7
_INT96_BYTES: Final = 12
_MAX_DEPTH: Final = 64
_SIGNATURE: Final = 28
_MOST_CODECS: Final = 8


class _Wrong(ValueError):
    """An invalid statement in a footer."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of values."""

    path: tuple[str, ...]
    index: int
    """Its index among the file's leaves."""
    physical: int
    repeated: bool
    """Whether it, or a group above it, is a list or map."""
    elements: tuple[int, ...]
    """The indices of the groups above it, and its own, in the schema's list of elements."""


class Chunk(NamedTuple):
    """A column's values in a row group."""

    fields: Struct
    meta: Struct | None
    """None where it is encrypted."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group."""

    rows: int
    total_bytes: int
    """Uncompressed bytes, as the file states."""
    compressed: int
    """Compressed bytes of the chunks that state them."""
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Footer:
    """The content of a footer, checked where that needs nothing else."""

    path: str
    begin: int
    """Its offset in the file: all data precede it."""
    version: int
    created_by: bytes
    elements: tuple[Struct, ...]
    leaves: tuple[Leaf, ...]
    groups: tuple[RowGroup, ...]

    @property
    def names(self) -> list[str]:
        """The names of the top-level columns, in order."""
        return list(dict.fromkeys(leaf.path[0] for leaf in self.leaves))

    def leaf(self, path: Sequence[str]) -> list[Leaf]:
        """The leaves at this path; several if the file repeats a column's name."""
        return [leaf for leaf in self.leaves if leaf.path == tuple(path)]

    def under(self, path: Sequence[str]) -> bool:
        """Whether the path leads to, or into, a group."""
        longest = len(path)
        return any(leaf.path[:longest] == tuple(path) != leaf.path for leaf in self.leaves)

    def checked(self, leaf: Leaf, first: int, end: int) -> None:
        """Check the row groups' metadata of a needed column against the file. Raises SourceFileError."""
        for number in range(first, end):
            group = self.groups[number]
            try:
                _check_chunk(group.chunks[leaf.index], leaf, group.rows, self.begin)
            except _Wrong as wrong:
                name = ".".join(leaf.path)
                raise SourceFileError(f"{self.path}: column '{name}' in row group {number}: {wrong}") from None

    def of_columns(self, leaves: Sequence[Leaf], first: int, end: int) -> bytes:
        """A footer of these columns and row groups alone; INT96 as fixed binaries of 12 bytes."""
        wanted = sorted({leaf.index: leaf for leaf in leaves}.values(), key=lambda leaf: leaf.index)
        groups = [self._group(group, wanted) for group in self.groups[first:end]]
        fields = {
            1: Field(_I32, self.version),
            2: Field(LIST, Items(STRUCT, self._schema(wanted))),
            3: Field(6, sum(group.rows for group in self.groups[first:end])),
            4: Field(LIST, Items(STRUCT, groups)),
        }
        if self.created_by:
            fields[6] = Field(BINARY, self.created_by)
        return write_struct(fields)

    def _schema(self, leaves: Sequence[Leaf]) -> list[Struct]:
        kept = sorted({0} | {at for leaf in leaves for at in leaf.elements})
        of_leaf = {leaf.elements[-1]: leaf for leaf in leaves}
        paths = [(0, *leaf.elements) for leaf in leaves]
        made = []
        for at in kept:
            element = {k: v for k, v in self.elements[at].items() if k <= 10}
            if at in of_leaf:
                if of_leaf[at].physical == INT96:
                    fixed = {1: Field(_I32, _FIXED), 2: Field(_I32, _INT96_BYTES)}
                    element = {**fixed, **{k: v for k, v in element.items() if k in (3, 4)}}
            else:
                element[5] = Field(_I32, len({path[path.index(at) + 1] for path in paths if at in path[:-1]}))
            made.append(element)
        return made

    def _group(self, group: RowGroup, leaves: Sequence[Leaf]) -> Struct:
        columns = []
        for leaf in leaves:
            chunk = group.chunks[leaf.index]
            assert chunk.meta is not None
            meta = {k: v for k, v in chunk.meta.items() if k in (1, 2, 3, 4, 5, 6, 7, 9, 11)}
            if leaf.physical == INT96:
                meta[1] = Field(_I32, _FIXED)
            columns.append({2: Field(6, 0), 3: Field(STRUCT, meta)})
        return {1: Field(LIST, Items(STRUCT, columns)), 2: Field(6, group.total_bytes), 3: Field(6, group.rows)}


def read_footer(file: IO[bytes], ref: FileRef) -> Footer:
    """The file's footer. Raises SourceFileError for an invalid one."""
    refused = f"{ref.path}: not a readable Parquet file: "
    file.seek(0)
    head = file.read(4)
    file.seek(max(ref.size - _TAIL, 0))
    tail = file.read(_TAIL)
    if _ENCRYPTED in (head, tail[4:]):
        raise SourceFileError(f"{refused}its footer is encrypted")
    if head != _MAGIC or tail[4:] != _MAGIC or ref.size < len(_MAGIC) + _TAIL:
        raise SourceFileError(f"{refused}it doesn't begin and end with {_MAGIC.decode()}; perhaps it is cut short")
    size = int.from_bytes(tail[:4], "little")
    begin = ref.size - _TAIL - size
    if begin < len(_MAGIC):
        raise SourceFileError(f"{refused}its footer should have {size:,} bytes, and the file has {ref.size:,}")
    if size > ref.memory // _SHARE:
        raise takes_too_much(ref, f"the footer, of {size:,} bytes,")
    file.seek(begin)
    try:
        found, end = read_struct(file.read(size))
        signed = 8 in found  # some columns are encrypted: a signature follows
        if end + (_SIGNATURE if signed else 0) != size:
            raise _Wrong(f"its footer ends at byte {end:,} of {size:,}")
        return _footer(found, begin, ref.path)
    except (ThriftError, _Wrong) as error:
        raise SourceFileError(f"{refused}damaged footer: {error}") from None


def _footer(found: Struct, begin: int, path: str) -> Footer:
    elements = tuple(_structs(found, 2, "the schema"))
    leaves = tuple(_leaves(elements))
    groups = tuple(_row_group(group, leaves) for group in _structs(found, 4, "the row groups"))
    declared = number_of(found, 3)
    if declared != sum(group.rows for group in groups):
        raise _Wrong(f"it says {declared:,} rows, and its row groups {sum(group.rows for group in groups):,}")
    created_by = found[6].value if 6 in found and found[6].kind == BINARY else b""
    made_by = created_by if len(created_by) <= 200 else b""
    filled = tuple(group for group in groups if group.rows)  # of one without rows nothing is written, nor read
    return Footer(path, begin, number_of(found, 1, 1), made_by, elements, leaves, filled)


def _leaves(elements: tuple[Struct, ...]) -> Iterator[Leaf]:
    """The columns, from a walk over the schema's elements, which are in depth-first order."""
    if not elements:
        raise _Wrong("its schema is empty")
    open_groups: list[tuple[int, str, bool, int]] = []  # place, name, repeated, children still to come
    left, index = number_of(elements[0], 5, 0), 0
    for at, element in enumerate(elements[1:], 1):
        while open_groups and not open_groups[-1][3]:
            open_groups.pop()
        if open_groups:
            open_groups[-1] = (*open_groups[-1][:3], open_groups[-1][3] - 1)
        elif left:
            left -= 1
        else:
            raise _Wrong("its schema has more elements than its groups say")
        name, children = _text(element, 4), number_of(element, 5, 0)
        repeated = number_of(element, 3, 0) == 2 or bool(open_groups and open_groups[-1][2])
        if children:
            if len(open_groups) > _MAX_DEPTH or children < 0:
                raise _Wrong(f"its schema has a group of {children} fields at depth {len(open_groups)}")
            open_groups.append((at, name, repeated, children))
            continue
        places, names = [g[0] for g in open_groups], [g[1] for g in open_groups]
        if 1 in element:  # else an empty group
            yield Leaf((*names, name), index, number_of(element, 1), repeated, (*places, at))
            index += 1
    if left or any(group[3] for group in open_groups):
        raise _Wrong("its schema has fewer elements than its groups say")


def _row_group(group: Struct, leaves: tuple[Leaf, ...]) -> RowGroup:
    chunks = tuple(_chunk(chunk) for chunk in _structs(group, 1, "a row group's columns"))
    if len(chunks) != len(leaves):
        raise _Wrong(f"a row group has {len(chunks)} columns, and the schema {len(leaves)}")
    rows = number_of(group, 3)
    if rows < 0:
        raise _Wrong(f"a row group of {rows} rows")
    compressed = sum(number_of(chunk.meta, 7, 0) for chunk in chunks if chunk.meta is not None)
    return RowGroup(rows, number_of(group, 2, 0), compressed, chunks)


def _chunk(chunk: Struct) -> Chunk:
    meta = chunk[3].value if 3 in chunk and chunk[3].kind == STRUCT else None
    return Chunk(chunk, meta)


def _check_chunk(chunk: Chunk, leaf: Leaf, rows: int, begin: int) -> None:
    if 8 in chunk.fields or chunk.meta is None:
        raise _Wrong("it is encrypted, and there is no key" if 8 in chunk.fields else "nothing says where it lies")
    if 1 in chunk.fields and chunk.fields[1].value not in (b"", None):
        raise _Wrong("it lies in another file")
    meta = chunk.meta
    if number_of(meta, 1) != leaf.physical:
        raise _Wrong(f"it is of physical type {number_of(meta, 1)}, and of {leaf.physical} in the schema")
    if not 0 <= number_of(meta, 4) < _MOST_CODECS:
        raise _Wrong(f"its codec is {number_of(meta, 4)}, which isn't known")
    if number_of(meta, 5) != rows:
        raise _Wrong(f"damaged: it says {number_of(meta, 5):,} values, and the row group {rows:,} rows")
    path = meta[3].value if 3 in meta else None
    if not isinstance(path, Items) or tuple(_decoded(part) for part in path.values) != leaf.path:
        raise _Wrong("damaged: it names another column")
    start, size = chunk_range(meta)
    if start < len(_MAGIC) or size < 0 or start + size > begin:
        raise _Wrong(f"damaged: it should have {size:,} bytes from byte {start:,} on; the data ends at {begin:,}")


def chunk_range(meta: Struct) -> tuple[int, int]:
    """The offset of a column's pages, and the number of their bytes."""
    data = number_of(meta, 9)
    dictionary = number_of(meta, 11, 0)
    return (dictionary if 0 < dictionary < data else data), number_of(meta, 7)


def _structs(found: Struct, number: int, what: str) -> list[Struct]:
    field = found.get(number)
    if field is None or field.kind != LIST or (field.value.kind != STRUCT and field.value.values):
        raise _Wrong(f"{what} aren't there")
    values: list[Struct] = field.value.values
    return values


def number_of(found: Struct, number: int, default: int | None = None) -> int:
    """An integer field. Raises ValueError if it is missing without a default, or of another type."""
    field = found.get(number)
    if field is not None and isinstance(field.value, int) and not isinstance(field.value, bool):
        return field.value
    if default is None or field is not None:
        raise _Wrong(f"its field {number} is no number")
    return default


def _text(found: Struct, number: int) -> str:
    field = found.get(number)
    if field is None or field.kind != BINARY:
        raise _Wrong("a column has no name")
    return _decoded(field.value)


def _decoded(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
