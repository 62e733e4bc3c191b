"""A Terraform module held against what its providers take: every argument, block and reference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deployments.deploy_tools import ran, tool
from deployments.terraform_types import declared_kinds, kind_of, kinds_of_fields, wrong_value

__all__ = ["Module", "files_of", "parsed", "wrong_in"]

_PARSE: Final = "import hcl2,json,sys; print(json.dumps([hcl2.loads(t) for t in json.load(sys.stdin)]))"
_META: Final = {"count", "depends_on", "for_each", "provider"}
_LIFECYCLE: Final = {
    *("create_before_destroy", "ignore_changes", "postcondition", "precondition", "prevent_destroy"),
    "replace_triggered_by",
}
_META_BLOCKS: Final[Mapping[str, set[str]]] = {
    "lifecycle": _LIFECYCLE,
    "timeouts": {"create", "delete", "read", "update"},
}
_OWN: Final[Mapping[str, set[str]]] = {
    "variable": {"default", "description", "ephemeral", "nullable", "sensitive", "type", "validation"},
    "output": {"depends_on", "description", "ephemeral", "precondition", "sensitive", "value"},
    "terraform": {"backend", "required_providers", "required_version"},
    "provider": {"alias", "default_labels", "project", "region", "user_project_override"},
}
"""What Terraform's own blocks take, of that which a module has."""
_VALIDATION: Final = {"condition", "error_message"}
_DYNAMIC: Final = {"content", "for_each", "iterator", "labels"}
_REFERENCE: Final = re.compile(r"(?<![\w.\"-])((?:data\.|ephemeral\.)?[a-z]\w*)\.(\w+)((?:\[[^\]]*\])?)(?:\.(\w+))?")


@dataclass(frozen=True)
class Module:
    """The text of a module's files by name, and what it says."""

    texts: Mapping[str, str]
    blocks: tuple[dict[str, Any], ...]

    def of(self, kind: str) -> Iterator[Any]:
        """All blocks of a kind, each as {label: ...}."""
        for file in self.blocks:
            yield from file.get(kind, ())


def parsed(texts: Mapping[str, str]) -> Module:
    """A module of its files' texts, read by the parser that checkov has."""
    read = ran(tool("python"), "-c", _PARSE, stdin=json.dumps(list(texts.values())))
    return Module(texts, tuple(json.loads(read)))


def files_of(folder: Path) -> dict[str, str]:
    """The texts of a module's files."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tf"))}


def wrong_in(module: Module, schema: Mapping[str, Any]) -> list[str]:
    """What is wrong, a line each."""
    types = schema["blocks"]
    return [*_wrong_own(module), *_wrong_arguments(module, types), *_wrong_references(module, types)]


def _known_kinds(module: Module, types: Mapping[str, Any]) -> dict[str, str]:
    """The kind of value of each variable, local and attribute, by how it is referred to."""
    found = {"each.key": "string"}
    found |= dict(declared_kinds(one for block in module.of("variable") for one in block.items()))
    for block in module.of("resource"):
        for of, named in block.items():
            exports = types.get(f"resource.{of}", {}).get("exports", {})
            found |= {f"{of}.{name}.{each}": kind.partition(" ")[0] for name in named for each, kind in exports.items()}
    for block in module.of("locals"):
        found |= {f"local.{name}": kind_of(one[0], found) for name, one in block.items() if not name.startswith("__")}
    return found


def _wrong_own(module: Module) -> Iterator[str]:
    """Of blocks that are no provider's, and of fields of variables that are objects."""
    for kind, known in _OWN.items():
        for block in module.of(kind):
            bodies = {"": block} if kind == "terraform" else block
            for name, body in bodies.items():
                given = {each for each in body if not each.startswith("__")}
                yield from (f"{kind}.{name}: there is no argument {each}" for each in sorted(given - known))
    variables = [one for block in module.of("variable") for one in block.items()]
    fields = {name: set(kinds_of_fields(body.get("type", [""])[0])) for name, body in variables}
    kinds = dict(declared_kinds(variables))
    for name, body in variables:
        yield from wrong_value(f"var.{name}", kinds[f"var.{name}"], body.get("default", [None])[0], {})
        for rule in body.get("validation", ()):
            given = {each for each in rule if not each.startswith("__")}
            yield from (f"var.{name}.validation: there is no argument {each}" for each in sorted(given - _VALIDATION))
            yield from (f"var.{name}.validation: {each} is missing" for each in sorted(_VALIDATION - given))
    for file, text in module.texts.items():
        for of, name, _, attribute in _REFERENCE.findall(_code_of(text)):
            known = fields.get(name, set()) if of == "var" else set()
            if known and attribute and attribute not in known:
                yield f"{file}: var.{name} has no {attribute}"


def _wrong_arguments(module: Module, types: Mapping[str, Any]) -> Iterator[str]:
    known = _known_kinds(module, types)
    for kind in ("resource", "data", "ephemeral"):
        for block in module.of(kind):
            ((of, named),) = block.items()
            ((name, body),) = named.items()
            where = f"{of}.{name}"
            if f"{kind}.{of}" not in types:
                yield f"{where}: {kind} {of} is in no provider's schema; `make provider-schema` reads it"
                continue
            yield from _wrong_body(where, body, types[f"{kind}.{of}"], known, (_META, _META_BLOCKS))


def _wrong_body(
    where: str,
    body: Mapping[str, Any],
    own: Mapping[str, Any],
    known: Mapping[str, str],
    meta: tuple[set[str], Mapping[str, set[str]]] = (set(), {}),
) -> Iterator[str]:
    more, blocks = meta
    given = {name for name in body if not name.startswith("__")}
    dynamic = {name: one for each in body.get("dynamic", ()) for name, one in each.items()}
    for name in sorted(given - {"dynamic"} - more - set(blocks) - set(own["attributes"]) - set(own["blocks"])):
        yield f"{where}: there is no argument {name}"
    for name in sorted(given & set(blocks)):
        unknown = {each for part in body[name] for each in part if not each.startswith("__")} - blocks[name]
        yield from (f"{where}.{name}: there is no argument {each}" for each in sorted(unknown))
    yield from (f"{where}: {name} is missing" for name in sorted(set(own["needs"]) - given - set(dynamic)))
    for name in sorted(given & set(own["attributes"])):
        yield from wrong_value(f"{where}.{name}", own["attributes"][name], body[name][0], known)
    for name in sorted(given & set(own["blocks"]) - set(blocks)):
        yield from _wrong_blocks(f"{where}.{name}", body[name], own["blocks"][name], known)
    for name, one in dynamic.items():
        yield from _wrong_dynamic(where, name, one, own, known)


def _wrong_blocks(where: str, parts: Any, own: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(parts[0], dict):
        yield f"{where}: it is a block, not a value"
        return
    if own["single"] and len(parts) > 1:
        yield f"{where}: there is one such block at the most"
    for part in parts:
        yield from _wrong_body(where, part, own, known)


def _wrong_dynamic(
    where: str, name: str, one: Mapping[str, Any], own: Mapping[str, Any], known: Mapping[str, str]
) -> Iterator[str]:
    unknown = {each for each in one if not each.startswith("__")} - _DYNAMIC
    yield from (f"{where}.{name}: there is no argument {each}" for each in sorted(unknown))
    if name not in own["blocks"]:
        yield f"{where}: there is no argument {name}"
        return
    for part in one["content"]:
        yield from _wrong_body(f"{where}.{name}", part, own["blocks"][name], known)


def _wrong_references(module: Module, types: Mapping[str, Any]) -> Iterator[str]:
    declared = {
        "var": {name for block in module.of("variable") for name in block},
        "local": {name for block in module.of("locals") for name in block if not name.startswith("__")},
    }
    named = {
        (f"{kind}." if kind != "resource" else "") + of: set(names)
        for kind in ("resource", "data", "ephemeral")
        for of, names in _grouped(module.of(kind))
    }
    used = set[str]()
    for file, text in module.texts.items():
        for of, name, _, attribute in _REFERENCE.findall(_code_of(text)):
            if of in declared:
                used.add(f"{of}.{name}")
                if name not in declared[of]:
                    yield f"{file}: {of}.{name} is declared nowhere"
            elif of in named or of.removeprefix("data.").removeprefix("ephemeral.").startswith(("google_", "random_")):
                used.add(f"{of}.{name}")
                yield from _wrong_reference(file, of, name, attribute, named, types)
    for kind, names in declared.items():
        for name in sorted(names - {u.partition(".")[2] for u in used if u.startswith(f"{kind}.")}):
            yield f"{kind}.{name} is used nowhere"
    for of, names in named.items():
        if of.startswith("data."):
            yield from (f"{of}.{name} is used nowhere" for name in sorted(names) if f"{of}.{name}" not in used)


def _wrong_reference(
    file: str, of: str, name: str, attribute: str, named: Mapping[str, set[str]], types: Mapping[str, Any]
) -> Iterator[str]:
    if name not in named.get(of, ()):
        yield f"{file}: there is no {of}.{name}"
        return
    own = types.get(of if "." in of else f"resource.{of}")
    if own and attribute and attribute not in {*own["exports"], *own["attributes"], *own["blocks"]}:
        yield f"{file}: {of}.{name} has no {attribute}"


def _grouped(blocks: Iterator[Any]) -> Iterator[tuple[str, set[str]]]:
    found = dict[str, set[str]]()
    for block in blocks:
        for of, names in block.items():
            found.setdefault(of, set()).update(names)
    yield from found.items()


def _code_of(text: str) -> str:
    """A file's expressions: without comments, and of strings only what is evaluated."""
    without = re.sub(r"(?m)(^|\s)#.*$", "", text)
    return re.sub(r'"((?:[^"\\]|\\.)*)"', lambda found: " ".join(_evaluated(found[1])) or '""', without)


def _evaluated(string: str) -> list[str]:
    return [f"({part})" for part in re.findall(r"\$\{([^}]*)\}", string)]
