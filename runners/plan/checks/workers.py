"""Checks that workers can import the modules that they need."""

from __future__ import annotations

import base64
import bz2
import importlib.util
import json
import pickletools
import sys
import sysconfig
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.graph import plain
from tandem.runners.plan.launch import Engine, Launch

__all__ = ["CHECKS", "check_environment", "check_modules", "installed", "modules_in"]

MAIN: Final = "__main__"


def modules_in(payload: bytes) -> frozenset[str]:
    """The modules that a pickled payload of Beam's refers to; `__main__` also where it contains a class of it by value.

    Only parses the pickle: no import, no object.
    """
    data = _unpacked(payload)
    if not data:
        return frozenset()
    modules, strings, memo, last = set[str](), list[str](), list[str | None](), ""
    argument: Any
    for code, argument, _ in pickletools.genops(data):
        if code.name == "GLOBAL":
            modules.add(str(argument).split(" ")[0])
        elif code.name == "STACK_GLOBAL" and len(strings) > 1:
            modules.add(strings[-2])
        elif code.name == "MEMOIZE":
            memo.append(last or None)
        elif code.name in ("BINGET", "LONG_BINGET") and int(argument) < len(memo):
            known = memo[int(argument)]
            if known is not None:
                strings.append(known)
        last = ""
        if "UNICODE" in code.name:
            last = str(argument)
            strings.append(last)
    if MAIN in strings:
        modules.add(MAIN)
    return frozenset(modules)


def _unpacked(payload: bytes) -> bytes | None:
    body = payload.partition(b"$")[2] or payload
    for text in (body, payload):
        try:
            packed = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        for unpack in (bz2.decompress, zlib.decompress):
            try:
                return unpack(packed)
            except (OSError, ValueError, zlib.error):
                continue
    return None


@cache
def _site_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({str(Path(paths[name]).resolve()) for name in ("purelib", "platlib", "stdlib", "platstdlib")})


@cache
def _editable_folders() -> tuple[tuple[str, str], ...]:
    """(folder, distribution) of each editable installation."""
    found = []
    for one in metadata.distributions():
        text = one.read_text("direct_url.json")
        url = json.loads(text) if text else {}
        if url.get("dir_info", {}).get("editable"):
            found.append((str(Path(unquote(urlsplit(url["url"]).path)).resolve()), str(one.metadata["Name"])))
    return tuple(found)


@cache
def installed(module: str) -> str | None:
    """How a module is installed: "installed", "editable DISTRIBUTION", or None: only this process finds it."""
    top = module.partition(".")[0]
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return "installed"
    try:
        spec: Any = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    places = [spec.origin] if spec and spec.origin else list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        return None
    place = str(Path(places[0]).resolve())
    if any(place.startswith(f"{folder}/") for folder in _site_folders()):
        return "installed"
    held = [name for folder, name in _editable_folders() if place.startswith(f"{folder}/") and top != "tests"]
    return f"editable {held[0]}" if held else None


def _pickled(launch: Launch) -> Iterator[tuple[str, frozenset[str]]]:
    """(label, modules) of each step, and of its outputs' coders."""
    graph = launch.graph
    coders = {
        name: modules_in(coder.spec.payload)
        for name, coder in graph.proto.components.coders.items()
        if "pickled" in coder.spec.urn
    }
    for transform in graph.leaves():
        modules = set[str]()
        if (work := graph.par_do(transform)) is not None:
            modules |= modules_in(work.do_fn.payload)
        for name in transform.outputs.values():
            modules |= _of_coder(graph.proto, coders, graph.proto.components.pcollections[name].coder_id)
        yield plain(transform.unique_name), frozenset(modules)


def _of_coder(proto: Any, known: dict[str, frozenset[str]], coder_id: str) -> frozenset[str]:
    inner = (_of_coder(proto, known, one) for one in proto.components.coders[coder_id].component_coder_ids)
    return known.get(coder_id, frozenset()).union(*inner)


def check_modules(launch: Launch) -> Iterator[Finding]:
    """Modules that workers can't import on their machines."""
    if not launch.leaves_this_process:
        return
    packed = _brings_packages(launch)
    stated = set[str]()
    for label, modules in _pickled(launch):
        for module in sorted(modules):
            top = module.partition(".")[0]
            how = "main" if module == MAIN else installed(module)
            name = str(how) if how and how.startswith("editable") else top
            if name in stated or how == "installed" or (packed and how != "main"):
                continue
            finding = _of_module(launch, label, top, how)
            if finding is not None:
                stated.add(name)
                yield finding


def _of_module(launch: Launch, label: str, module: str, how: str | None) -> Finding | None:
    if how == "main":
        return Finding(
            Level.WARNING,
            "main-module",
            "holds something of the main script, which no worker imports: it is sent by value, and coders that the"
            " script registers, and what a worker keeps in it, aren't there",
            label,
            "put it into a module that is installed where workers run",
        )
    if how is not None:
        if launch.elsewhere is None:
            return None
        return Finding(
            Level.ERROR if launch.engine is Engine.DATAFLOW else Level.NOTE,
            "modules",
            f"{how.partition(' ')[2]} is installed here as a link to its source, and workers of {launch.elsewhere}"
            f" have to import it ({module}, ...)",
            label,
            _bring(launch),
        )
    remote = launch.engine is Engine.DATAFLOW or launch.elsewhere is not None
    return Finding(
        Level.ERROR if remote else Level.WARNING,
        "modules",
        f"module {module} isn't installed: this process finds it in a folder of its own, and workers may not",
        label,
        _bring(launch),
    )


def _brings_packages(launch: Launch) -> bool:
    """Whether workers get packages with the job, or are custom containers."""
    names = ("setup_file", "extra_package", "extra_packages", "requirements_file", "sdk_container_image")
    return any(name in launch.flags for name in names) or launch.environment == "DOCKER"


def _bring(launch: Launch) -> str:
    if launch.engine is Engine.DATAFLOW:
        return "pass --setup_file=./setup.py, --extra_package=FILE.tar.gz or --sdk_container_image=IMAGE"
    return "install the package in the workers' environment (pip install)"


def check_environment(launch: Launch) -> Iterator[Finding]:
    """The way in which workers are started."""
    from apache_beam.options.pipeline_options import PortableOptions

    portable = launch.options.view_as(PortableOptions)
    if launch.environment == "LOOPBACK" and launch.elsewhere is not None:
        yield Finding(
            Level.ERROR,
            "loopback",
            f"LOOPBACK workers are this process, and {launch.elsewhere} would look for them on its own machines",
            "--environment_type",
            "use EXTERNAL with a worker pool beside each worker of the cluster, or DOCKER",
        )
    config = portable.environment_config or portable.environment_options
    if launch.environment in ("EXTERNAL", "PROCESS") and not config:
        yield Finding(
            Level.ERROR,
            "environment",
            f"{launch.environment} needs to be told where, or by what command, workers start",
            "--environment_type",
            "pass --environment_config, e.g. localhost:50000 of a worker pool",
        )
    cluster = launch.engine in (Engine.FLINK, Engine.SPARK, Engine.PORTABLE)
    if cluster and launch.environment in (None, "DOCKER") and not config and "sdk_container_image" not in launch.flags:
        yield Finding(
            Level.WARNING,
            "environment",
            "workers are containers of Beam's own image, Beam's default, which doesn't hold Tandem",
            "--environment_type",
            "pass --environment_type=EXTERNAL --environment_config=HOST:PORT of a worker pool, or an image with Tandem",
        )


CHECKS: Final[tuple[Callable[[Launch], Iterator[Finding]], ...]] = (check_modules, check_environment)
