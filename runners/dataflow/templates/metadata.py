"""Makes the metadata of a Flex Template from the table of flags: name, purpose and pattern of each parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tandem.runners.options.flags.commands import COMMANDS
from tandem.runners.options.flags.flag import Flag
from tandem.runners.options.flags.table import flags_of
from tandem.schemas.errors import UserError

__all__ = ["SEPARATOR", "TEMPLATES", "check_template", "image_spec", "metadata_of", "parameter_flags"]

TEMPLATES: Final = ("live", "backfill", "reconcile", "backtest", "publish")
"""Pipelines with a template; `windowed` writes files, and is for users' own pipelines."""
SEPARATOR: Final = ","
"""Separates the values of a repeatable flag's parameter: a template takes each parameter once."""

_LOCAL: Final = frozenset({"no-screen", "save", "against", "dry-run", "workers"})
"""Flags of a terminal, or of pipelines on one machine."""
_GS: Final = r"gs://[^/,]+/[^,]+"
_STORED: Final = r"(gs|s3)://[^/,]+/[^,]+"
_FORMS: Final[Mapping[str, str]] = {
    "definition": _GS,
    "files": _STORED,
    "rules": _STORED,
    "labels": _STORED,
    "output": _STORED,
    "plot": rf"{_STORED}\.svg",
    "home": _GS,
    "journal": _GS,
    "dead-letters": _GS,
    "scratch": _GS,
    "store": r"postgresql://[^:@/]+@[^@]+",
}
"""Patterns of places that workers in the cloud can reach: narrower than the command line's. A store's address has no
password."""
_NEEDED: Final = frozenset({"home", "store"})
"""Required, since jobs have no default folder."""
_NEEDED_BY: Final[Mapping[str, frozenset[str]]] = {"backtest": frozenset({"output"})}
"""The same for jobs without home and store."""
_TYPES: Final[Mapping[str, str]] = {
    "subscription": "PUBSUB_SUBSCRIPTION",
    "topic": "PUBSUB_TOPIC",
    "dead-letter-topic": "PUBSUB_TOPIC",
    "home": "GCS_WRITE_FOLDER",
    "journal": "GCS_WRITE_FOLDER",
    "dead-letters": "GCS_WRITE_FOLDER",
    "scratch": "GCS_WRITE_FOLDER",
}


def check_template(name: str) -> str:
    """The name. Raises UserError for a pipeline without a template."""
    if name not in TEMPLATES:
        raise UserError(f"no template is named {name!r}; there are {', '.join(TEMPLATES)}")
    return name


def parameter_flags(name: str) -> tuple[Flag, ...]:
    """The flags that a template's launch may give, by group."""
    return tuple(flag for flag in flags_of(check_template(name)) if flag.name not in _LOCAL)


def metadata_of(name: str) -> dict[str, Any]:
    """The metadata in the form of Dataflow's API. Raises UserError."""
    flags = parameter_flags(name)
    return {
        "name": f"Tandem: {name}",
        "description": COMMANDS[name].about,
        "streaming": name == "live",
        "supportsAtLeastOnce": False,
        "supportsExactlyOnce": True,
        "parameters": [_parameter(flag, _NEEDED_BY.get(name, _NEEDED)) for flag in flags],
    }


def image_spec(name: str, image: str, environment: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The image specification, an object of Cloud Storage: image, language, metadata, defaults of the job's
    environment.
    """
    spec: dict[str, Any] = {"image": image, "sdkInfo": {"language": "PYTHON"}, "metadata": metadata_of(name)}
    return {**spec, "defaultEnvironment": dict(environment)} if environment else spec


def _parameter(flag: Flag, told: frozenset[str]) -> dict[str, Any]:
    needed = flag.required or flag.name in told
    made: dict[str, Any] = {
        "name": flag.dest,
        "label": flag.name.replace("-", " ").capitalize(),
        "helpText": _help(flag, needed),
        "isOptional": not needed,
        "paramType": _type(flag),
        "groupName": str(flag.group),
    }
    pattern = _pattern(flag)
    if pattern:
        made["regexes"] = [pattern]
    if flag.choices:
        made["enumOptions"] = [{"value": choice, "label": choice} for choice in flag.choices]
    default = flag.default if not needed and not flag.repeatable else None
    return {**made, "defaultValue": "false" if flag.switch else default} if flag.switch or default else made


def _help(flag: Flag, needed: bool) -> str:
    text = flag.help.removesuffix("; repeatable")
    several = f" Several are separated by '{SEPARATOR}'." if flag.repeatable else ""
    without = "" if needed or flag.switch or not flag.otherwise else f" Without it: {flag.otherwise}."
    return f"{text[0].upper()}{text[1:]}.{several}{without}"


def _type(flag: Flag) -> str:
    if flag.switch:
        return "BOOLEAN"
    if flag.choices:
        return "ENUM"
    if flag.repeatable:
        return "TEXT"
    return _TYPES.get(flag.name, "NUMBER" if flag.read in (int, float) else "TEXT")


def _pattern(flag: Flag) -> str | None:
    """A pattern that matches the whole of every valid value."""
    if flag.switch:
        return "^(true|false)$"
    one = _FORMS.get(flag.name) or flag.pattern
    if one is None:
        one = "|".join(map(re.escape, flag.choices)) if flag.choices else None
    if one is None:
        return None
    return f"^({one})({SEPARATOR}({one}))*$" if flag.repeatable else f"^({one})$"
