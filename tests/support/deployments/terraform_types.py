"""What kind of value an argument of Terraform takes, and which one an expression has, as far as the text shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

__all__ = ["declared_kinds", "kind_of", "kind_of_type", "kinds_of_fields", "wrong_value"]

_RESULTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("base64encode", "format", "join", "jsonencode", "replace", "tostring"), "string"),
    **dict.fromkeys(("concat", "keys", "setproduct", "setunion", "tolist", "toset", "values"), "list"),
    **dict.fromkeys(("jsondecode", "lookup", "one", "try", "coalesce"), "any"),
    "length": "number",
    "merge": "map",
    "tobool": "bool",
    "tonumber": "number",
}
"""What Terraform's functions give, of those that a module has."""
_EXPRESSION: Final = re.compile(r"\$\{(.*)\}", re.DOTALL)
_WORDS: Final = {"string": "a text", "number": "a number", "bool": "true or false", "list": "a list", "map": "a map"}


def kind_of_type(written: str) -> str:
    """The kind of a type as variables declare it: string, number, bool, list, map, any."""
    inner = written.removeprefix("${").removesuffix("}")
    name, _, rest = inner.partition("(")
    if name == "optional":
        return kind_of_type(re.split(r",", rest)[0].rstrip(")"))
    return {"set": "list", "tuple": "list", "object": "map"}.get(name, name)


def kinds_of_fields(written: str) -> dict[str, str]:
    """The kinds of the fields of a type that is an object; none of another."""
    if not written.startswith("${object("):
        return {}
    return {name: kind_of_type(kind) for name, kind in re.findall(r"'(\w+)': '(\$\{[^']*\})'", written)}


def declared_kinds(variables: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, str]]:
    """(reference, kind) of each variable, and of each field of one."""
    for name, body in variables:
        (written,) = body.get("type", ["${any}"])
        yield f"var.{name}", kind_of_type(written)
        for field, kind in kinds_of_fields(written).items():
            yield f"var.{name}.{field}", kind


def kind_of(value: Any, known: Mapping[str, str]) -> str:
    """The kind of a value or expression; any where the text doesn't show it."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "bool"),
        ((int, float), "number"),
        (list, "list"),
        (dict, "map"),
    )
    for types, kind in kinds:
        if isinstance(value, types):
            return kind
    if not isinstance(value, str):
        return "any"
    whole = _EXPRESSION.fullmatch(value)
    if whole is None or "${" in whole[1].partition("(")[0]:
        return "string"
    called = re.match(r"(\w+)\(", whole[1])
    if called:
        return _RESULTS.get(called[1], "any")
    whole_name = re.sub(r"\[[^\]]*\](?=\.)", "", whole[1])  # of resources for each, one
    return known.get(whole_name, "any")


def wrong_value(where: str, wanted: str, value: Any, known: Mapping[str, str]) -> Iterator[str]:
    """A line for each value that Terraform can't make what is wanted of; `wanted`: a kind, or `list of` and `map of`
    one.
    """
    whole, _, each = wanted.partition(" of ")
    given = kind_of(value, known)
    if value is None or whole == "any" or given == "any":
        return
    if not _fits(whole, given, value):
        yield f"{where}: it is {_WORDS[whole]}, not {_WORDS[given]}"
    elif each and isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from wrong_value(where, each, one, known)


def _fits(wanted: str, given: str, value: Any) -> bool:
    """As Terraform converts: numbers and booleans to texts, and texts that say one to it."""
    if wanted == "string":
        return given in ("string", "number", "bool")
    if given == "string" and isinstance(value, str):
        says = {"number": r"-?\d+(\.\d+)?", "bool": "true|false"}.get(wanted)
        return bool(says and re.fullmatch(says, value))
    return wanted == given
