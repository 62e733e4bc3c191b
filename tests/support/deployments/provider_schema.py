"""What arguments Terraform's Google provider takes, of the types that CDKTF has of it.

`python tests/support/deployments/provider_schema.py PACKAGE.tgz... MODULE` (npm's `@cdktf/provider-google`,
`-google-beta`, `-random`) prints the schema of the resources that a module has; `make provider-schema` keeps it beside
the tests.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["addressed", "schema_of"]

_BLOCK: Final = re.compile(r'^(resource|data|ephemeral) "(\w+)"', re.MULTILINE)
_VERSION: Final = re.compile(r"registry.terraform.io/providers/hashicorp/([\w-]+)/([\d.]+)/")


def addressed(text: str) -> set[tuple[str, str]]:
    """(resource, data or ephemeral; type) of each block of a module's text."""
    return {(kind, name) for kind, name in _BLOCK.findall(text)}


def schema_of(packages: list[Path], text: str) -> dict[str, Any]:
    """Versions of the providers, and the schema of each type that a module's text has."""
    types, versions = dict[str, Any](), dict[str, str]()
    for package in packages:
        found = _types(package)
        types |= found
        versions |= dict(_VERSION.findall(json.dumps(list(found.values())[:200])))
    blocks = {f"{kind}.{name}": _resource(types, kind, name) for kind, name in sorted(addressed(text))}
    return {"providers": versions, "blocks": blocks}


def _types(package: Path) -> dict[str, Any]:
    with tarfile.open(package) as archive:
        described = archive.extractfile("package/.jsii")
        assert described is not None
        found: dict[str, Any] = json.load(described)["types"]
    return found


def _resource(types: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    """A resource's arguments and what it exports. Those that only the beta provider has carry its name."""
    provider, _, rest = name.partition("_")
    words = "".join(word.title() for word in rest.split("_"))
    for package, prefix in ((provider, ""), (f"{provider}-beta", provider.title())):
        made = f"{'Data' if kind == 'data' else ''}{provider.title() if kind == 'data' else prefix}{words}"
        root = f"@cdktf/provider-{package}.{made[0].lower()}{made[1:]}.{made}"
        if f"{root}Config" in types:
            own = _struct(types, f"{root}Config")
            given = {_snake(p["name"]): _kind(p["type"]) for p in types[root]["properties"]}
            return {**own, "exports": {"id": "string", **given}}
    raise SystemExit(f"{kind} {name}: in none of the packages")


def _struct(types: Mapping[str, Any], name: str) -> dict[str, Any]:
    attributes, blocks, needs = dict[str, str](), dict[str, Any](), list[str]()
    for prop in types[name].get("properties", ()):
        where = _argument(prop)
        of = next((t for t in _names(prop["type"]) if not t.startswith(("cdktf.", "constructs."))), None)
        if of is not None:
            blocks[where] = {**_struct(types, of), "single": "collection" not in json.dumps(prop["type"])}
        else:
            attributes[where] = _kind(prop["type"])
        needs += [] if prop.get("optional", False) else [where]
    return {"attributes": attributes, "blocks": blocks, "needs": needs}


def _kind(given: Any) -> str:
    """The kind of value: string, number, bool, list or map, of the last two with that of their elements; any."""
    if "union" in given:
        kinds = {_kind(one) for one in given["union"]["types"]} - {"any"}
        return kinds.pop() if len(kinds) == 1 else "any"
    if "collection" in given:
        whole = {"array": "list", "map": "map"}[given["collection"]["kind"]]
        return f"{whole} of {_kind(given['collection']['elementtype'])}"
    if given.get("fqn") == "cdktf.StringMap":
        return "map of string"
    primitive = str(given.get("primitive", "any"))
    return "bool" if primitive == "boolean" else primitive


def _names(given: Any) -> Iterator[str]:
    """Every type named in a type."""
    if isinstance(given, dict):
        if "fqn" in given:
            yield given["fqn"]
        for value in given.values():
            yield from _names(value)
    elif isinstance(given, list):
        for value in given:
            yield from _names(value)


def _argument(prop: Mapping[str, Any]) -> str:
    """The argument's name in Terraform, by the link to its documentation."""
    told = re.search(r"#(\w+) \w+#", prop["docs"].get("remarks", "") + prop["docs"].get("summary", ""))
    return told[1] if told else _snake(prop["name"])


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


if __name__ == "__main__":
    *archives, module = map(Path, sys.argv[1:])
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted(module.glob("*.tf")))
    print(json.dumps(schema_of(archives, sources), sort_keys=True, separators=(",", ":")).replace('},"', '},\n"'))
