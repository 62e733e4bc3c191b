"""A template's metadata says of each flag what the command line takes of it, in the form that Dataflow's API has."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from deployments.deploy_tools import DEPLOY, ran, tool

from tandem.runners.dataflow.templates.launching import ENVIRONMENT, TemplateLaunch
from tandem.runners.dataflow.templates.metadata import TEMPLATES, image_spec, metadata_of, parameter_flags
from tandem.runners.dataflow.templates.parameters import flags_of_parameters, parameters_of, wrong_parameters
from tandem.runners.options.flags.table import flags_of
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import UserError

PLACES: Final = ["--home=gs://b/home", "--store=postgresql://t@db/tandem?password_from=gcp:projects/p/secrets/s"]
WORDS: Final[dict[str, list[str]]] = {
    "live": [
        *("--definition=gs://b/one.yaml", "--definition=gs://b/two.yaml", *PLACES, "--lanes=4", "--take-over"),
        *("--subscription=projects/p/subscriptions/s", "--generation-interval=30s", "--accept=open-port"),
    ],
    "backfill": [
        *("--definition=gs://b/one.yaml", *PLACES, "--files=gs://b/2026-*.parquet", "--files=s3://c/d", "--copies"),
        *("--max-bad=2.5%", "--complete-until=2026-02-01", "--scratch=gs://b/scratch", "--max-piece-memory=1GiB"),
    ],
    "reconcile": ["--definition=gs://b/one.yaml", *PLACES, "--deep"],
    "backtest": [
        *("--definition=gs://b/one.yaml", "--files=gs://b/2026-*.parquet", "--files=gs://b/home/journal", "--as-known"),
        *("--rules=gs://b/rules.yaml", "--rule=busy", "--rule=dear", "--set=least=3", "--set=for=2h"),
        *("--store=postgresql://t@db/tandem", "--output=gs://b/found.json", "--complete-until=2026-02-01"),
    ],
    "publish": ["--definition=gs://b/one.yaml", "--files=gs://b/x.jsonl", "--topic=projects/p/topics/t", "--speed=2.0"],
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_lies_in_the_checkout_is_made_of_the_flags(name: str) -> None:
    kept = json.loads((DEPLOY / f"flex/{name}.json").read_text(encoding="utf-8"))
    assert kept == metadata_of(name), f"tandem template flex build {name} --metadata --to deploy/flex/{name}.json"


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_flag_of_a_job_is_a_parameter(name: str) -> None:
    parameters = {one["name"] for one in metadata_of(name)["parameters"]}
    left_out = {flag.dest for flag in flags_of(name)} - parameters
    assert left_out <= {"no_screen", "save", "against", "dry_run", "workers"}
    assert parameters == {flag.dest for flag in parameter_flags(name)}


@pytest.mark.parametrize("name", TEMPLATES)
def test_parameters_are_described(name: str) -> None:
    for one in metadata_of(name)["parameters"]:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", one["name"])
        assert one["label"]
        assert one["helpText"].endswith(".")
        assert one["groupName"]
        for pattern in one.get("regexes", ()):
            assert pattern.startswith("^(")
            assert pattern.endswith("$")
            for value in (one.get("defaultValue"), *(o["value"] for o in one.get("enumOptions", ()))):
                assert value is None or re.match(pattern, value), (one["name"], value)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_command_line_goes_to_parameters_and_back(name: str) -> None:
    read = read_arguments(name, WORDS[name])
    parameters = parameters_of(read)
    assert wrong_parameters(name, parameters) == []
    handed = [f"--{key}={value}" for key, value in parameters.items()]
    again = read_arguments(name, flags_of_parameters(name, [*handed, "--runner=DataflowRunner", "--no_auth"]))
    assert dict(again.values) == dict(read.values)
    assert again.beam == ("--runner=DataflowRunner", "--no_auth")


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        pytest.param("live", {"definition": "clicks.yaml"}, "definition", id="a definition of this machine"),
        pytest.param("live", {"home": "/data"}, "--home", id="a home of this machine"),
        pytest.param("live", {"home": None}, "--home is missing", id="no home"),
        pytest.param("live", {"store": "sqlite:///views.db"}, "--store", id="a store in a file"),
        pytest.param("live", {"store": "postgresql://t:pass@db/tandem"}, "--store", id="a password"),
        pytest.param("live", {"subscription": "clicks"}, "--subscription", id="a subscription's short name"),
        pytest.param("live", {"lanes": "four"}, "--lanes", id="lanes that are no number"),
        pytest.param("live", {"lanes": "0"}, "--lanes", id="no lane"),
        pytest.param("live", {"lanes": "4\n"}, "--lanes", id="a line end"),
        pytest.param("backfill", {"shards": "0"}, "--shards", id="no shard"),
        pytest.param("live", {"take_over": "yes"}, "--take_over", id="a switch that is neither"),
        pytest.param("live", {"generation_interval": "soon"}, "--generation_interval", id="a time that is none"),
        pytest.param("live", {"lane": "4"}, "no such parameter", id="a parameter that there isn't"),
        pytest.param("backfill", {"files": "gs://b/a,clicks.csv"}, "--files", id="one file of this machine of two"),
        pytest.param("backfill", {"max_bad": "some"}, "--max_bad", id="a share that is none"),
        pytest.param("publish", {"topic": None}, "--topic is missing", id="no topic"),
        pytest.param("backtest", {"output": None}, "--output is missing", id="nobody is told"),
        pytest.param("backtest", {"output": "found.json"}, "--output", id="an output of this machine"),
        pytest.param("backtest", {"rules": "rules.yaml"}, "--rules", id="rules of this machine"),
        pytest.param("backtest", {"sweep": "least"}, "--sweep", id="a sweep over nothing"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_sent(name: str, changed: dict[str, str | None], said: str) -> None:
    parameters: dict[str, str | None] = {**parameters_of(read_arguments(name, WORDS[name])), **changed}
    (line,) = wrong_parameters(name, {key: value for key, value in parameters.items() if value is not None})
    assert said in line


def test_flags_of_a_terminal_are_refused() -> None:
    with pytest.raises(UserError, match="--no-screen"):
        parameters_of(read_arguments("live", [*WORDS["live"], "--no-screen"]))


def test_a_value_with_a_separator_is_refused() -> None:
    with pytest.raises(UserError, match="can't hold"):
        parameters_of(read_arguments("backfill", [*WORDS["backfill"], "--files=gs://b/{a,b}.csv"]))


def test_what_isnt_a_parameter_stays_as_it_is() -> None:
    words = ["--runner=DataflowRunner", "--definition", "gs://b/a.yaml", "--experiments=use_runner_v2", "plain"]
    assert flags_of_parameters("live", words) == words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param("true", ["--copies"], id="on"),
        pytest.param(" True ", ["--copies"], id="on, as Python writes it"),
        pytest.param("false", [], id="off"),
        pytest.param("", [], id="left empty"),
    ],
)
def test_a_switch_by_its_value(given: str, words: list[str]) -> None:
    assert flags_of_parameters("backfill", [f"--copies={given}"]) == words


@pytest.mark.parametrize("given", ["maybe", "1", "yes"])
def test_a_switch_that_is_neither_is_refused(given: str) -> None:
    with pytest.raises(UserError, match=r"--copies '.*': it is true or false"):
        flags_of_parameters("backfill", [f"--copies={given}"])


def test_no_template_of_another_name() -> None:
    with pytest.raises(UserError, match="no template is named 'windowed'"):
        metadata_of("windowed")


_GOOGLES: Final = """
import json, sys
from google.cloud import dataflow_v1beta3 as dataflow
types = {
    "metadata": dataflow.TemplateMetadata, "spec": dataflow.ContainerSpec, "launch": dataflow.LaunchFlexTemplateRequest
}
for kind, text in json.load(sys.stdin):
    types[kind].from_json(text)
"""


def googles(*things: tuple[str, dict[str, Any]], code: int = 0) -> None:
    """Read things with the types of Google's own client, which know no other field, and no other words."""
    ran(tool("python"), "-c", _GOOGLES, stdin=json.dumps([(kind, json.dumps(one)) for kind, one in things]), code=code)


def launch(name: str) -> TemplateLaunch:
    read = read_arguments(name, WORDS[name])
    values = {str: "x", int: 3, bool: True, list: ["use_runner_v2"]}
    environment = {key: values[kind] for key, kind, _ in ENVIRONMENT.values()}
    environment |= {"ipConfiguration": "WORKER_IP_PRIVATE"}
    return TemplateLaunch("p", "r", f"tandem-{name}", "gs://b/spec.json", parameters_of(read), environment, update=True)


def test_googles_client_takes_all_of_it() -> None:
    specs = [("spec", image_spec(name, "image@sha256:1", {"maxWorkers": 4})) for name in TEMPLATES]
    launches = [("launch", launch(name).body(validate_only=True)) for name in TEMPLATES]
    googles(*(("metadata", metadata_of(name)) for name in TEMPLATES), *specs, *launches)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(("metadata", {**metadata_of("live"), "parametres": []}), id="an unknown field"),
        pytest.param(
            ("metadata", {"parameters": [{**metadata_of("live")["parameters"][0], "regex": "x"}]}),
            id="an unknown field of a parameter",
        ),
        pytest.param(("metadata", {"parameters": [{"name": "a", "paramType": "GCS_FOLDER"}]}), id="an unknown type"),
        pytest.param(("spec", {**image_spec("live", "i"), "language": "PYTHON"}), id="an unknown field of the spec"),
        pytest.param(("launch", {**launch("live").body(), "dryRun": True}), id="an unknown field of a launch"),
    ],
)
def test_googles_client_refuses_what_is_wrong(wrong: tuple[str, dict[str, Any]]) -> None:
    googles(wrong, code=1)


FITTING: Final = TemplateLaunch("p", "europe-west1", "live", "gs://b/spec.json", {}, {})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"job_name": "Live"}, "--job-name", id="a capital letter"),
        pytest.param({"job_name": "live-"}, "--job-name", id="a hyphen at the end"),
        pytest.param({"job_name": "live\n"}, "--job-name", id="a line end"),
        pytest.param({"specification": "spec.json"}, "--template", id="a specification of this machine"),
        pytest.param({"specification": "gs://b"}, "--template", id="a bucket"),
        pytest.param({"project": "../other"}, "--project", id="a way out of the address"),
        pytest.param({"project": ""}, "--project", id="no project"),
        pytest.param({"region": "x/../../y"}, "--region", id="another way out"),
        pytest.param({"region": "europe west1"}, "--region", id="a blank"),
    ],
)
def test_launches_that_cant_be(changed: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        replace(FITTING, **changed)  # type: ignore[arg-type]


def test_the_folder_has_no_other_file() -> None:
    assert {path.name for path in (DEPLOY / "flex").iterdir()} == {f"{name}.json" for name in TEMPLATES}
    assert Path(DEPLOY / "terraform/templates.tf").read_text(encoding="utf-8").count("/../flex") == 1
