"""The Helm chart rendered by Helm's own code, and held against the schemas of what it makes."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator

from deployments.deploy_tools import DEPLOY, ran, tool

__all__ = ["CHART", "VALUES", "containers", "flink_faults", "refusals", "rendered"]

CHART: Final = DEPLOY / "helm/tandem"
VALUES: Final[dict[str, Any]] = yaml.safe_load((CHART / "example-values.yaml").read_text(encoding="utf-8"))
_RENDER: Final = """
import json, sys, helm_python as helm
asked = json.load(sys.stdin)
with helm.Chart.load(asked["chart"]) as chart:
    try:
        print(json.dumps(chart.render(asked["values"], name="demo", namespace="tandem")))
    except helm.HelmError as error:
        sys.exit(str(error))
"""
_REFUSALS: Final = """
import json, sys, helm_python as helm
asked = json.load(sys.stdin)
said = []
with helm.Chart.load(asked["chart"]) as chart:
    for values in asked["values"]:
        try:
            chart.render(values, name="demo", namespace="tandem")
            said.append("")
        except helm.HelmError as error:
            said.append(str(error))
print(json.dumps(said))
"""
_OPERATOR: Final = "b1f44814e17514fa8395c61b329a3ee9087123a5bda5b21fe1a495d5182c30b6"
_CRD: Final = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"


def rendered(values: Mapping[str, Any], chart: Path = CHART, *, code: int = 0) -> list[dict[str, Any]]:
    """What the chart makes of values; nothing for values that it must refuse with exit code 1."""
    asked = json.dumps({"chart": str(chart), "values": values})
    text = ran(tool("python"), "-c", _RENDER, stdin=asked, code=code)
    if code:
        return []
    files = {name: made for name, made in json.loads(text).items() if name.endswith(".yaml")}
    return [one for _, made in sorted(files.items()) for one in yaml.safe_load_all(made) if one]


def refusals(values: Sequence[Mapping[str, Any]], chart: Path = CHART) -> list[str]:
    """Of each set of values why the chart refuses it, or nothing where it takes it."""
    said: list[str] = json.loads(
        ran(tool("python"), "-c", _REFUSALS, stdin=json.dumps({"chart": str(chart), "values": values}))
    )
    return said


def flink_faults(deployment: Mapping[str, Any]) -> list[str]:
    """What the operator's own schema has against a FlinkDeployment, unknown fields among it."""
    return [f"{'.'.join(map(str, error.path))}: {error.message[:200]}" for error in _operator().iter_errors(deployment)]


@cache
def _operator() -> Draft202012Validator:
    jar = Path(tool("python")).parents[1] / "share/operator/flink-kubernetes-operator-api-1.10.0.jar"
    if not jar.exists():
        pytest.fail("the operator's schema is missing; `make deploy-tools` fetches it")
    assert hashlib.sha256(jar.read_bytes()).hexdigest() == _OPERATOR
    with zipfile.ZipFile(jar) as archive:
        crd = yaml.load(archive.read(_CRD), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (version,) = (v for v in crd["spec"]["versions"] if v["name"] == "v1beta1")
    schema = version["schema"]["openAPIV3Schema"]
    schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {}}
    return Draft202012Validator(_closed(schema))


def _closed(schema: Any) -> Any:
    """As strict as an API server can be: no field that the schema doesn't name."""
    if not isinstance(schema, dict):
        return schema
    made = {key: _closed(value) for key, value in schema.items() if key != "properties"}
    if "properties" in schema:
        made["properties"] = {name: _closed(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    return made


def containers(thing: Any) -> Iterator[dict[str, Any]]:
    """Every container of a manifest, wherever it stands in it."""
    if isinstance(thing, dict):
        for key, value in thing.items():
            if key in ("containers", "initContainers"):
                yield from value
            else:
                yield from containers(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from containers(value)
