"""What the module counts on in a project where nothing is switched on yet, and what it tells Dataflow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from deployments.deploy_tools import DEPLOY
from deployments.terraform_module import Module, files_of, parsed
from deployments.terraform_types import declared_kinds, wrong_value

from tandem.runners.dataflow.templates.launching import ENVIRONMENT
from tandem.runners.dataflow.templates.metadata import metadata_of

SERVICES: Final = {
    "google_artifact_registry": "artifactregistry",
    "google_cloud_scheduler": "cloudscheduler",
    "google_compute": "compute",
    "google_dataflow": "dataflow",
    "google_kms": "cloudkms",
    "google_monitoring": "monitoring",
    "google_project": "cloudresourcemanager",
    "google_project_iam_custom_role": "iam",
    "google_pubsub": "pubsub",
    "google_secret_manager": "secretmanager",
    "google_service_account": "iam",
    "google_service_networking": "servicenetworking",
    "google_sql": "sqladmin",
    "google_storage": "storage",
}
"""The API that makes each type, by the longest beginning of its name."""
OF_JOBS: Final = {"logging"}
"""APIs that jobs call themselves."""
SWITCHES: Final = ("google_project_service", "google_project_service_identity")


@pytest.fixture(scope="module")
def module() -> Module:
    return parsed(files_of(DEPLOY / "terraform"))


def blocks(module: Module) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(address, type, body) of what a cloud makes or is asked for."""
    for kind in ("resource", "data"):
        for block in module.of(kind):
            for of, named in block.items():
                for name, body in named.items():
                    yield f"{'data.' if kind == 'data' else ''}{of}.{name}", of, body


def test_every_api_that_it_needs_is_switched_on(module: Module) -> None:
    (switched,) = (body for at, _, body in blocks(module) if at == "google_project_service.needed")
    on = set(re.findall(r"'(\w+)\.googleapis\.com'", str(switched["for_each"])))
    needed = {
        SERVICES[max((start for start in SERVICES if of.startswith(start)), key=len)]
        for _, of, _ in blocks(module)
        if of not in SWITCHES
    }
    assert on == needed | OF_JOBS


def waits(module: Module) -> dict[str, bool]:
    """Whether each block is made after the APIs are switched on."""
    texts = {at: json.dumps(body) for at, _, body in blocks(module)}
    texts |= {f"local.{name}": json.dumps(value) for block in module.of("locals") for name, value in block.items()}
    after = {"google_project_service.needed"}
    while True:
        more = {at for at, text in texts.items() if at not in after and any(_names(text, one) for one in after)}
        if not more:
            return {at: at in after for at in texts if not at.startswith("local.")}
        after |= more


def _names(text: str, address: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(address)}(?!\w)", text) is not None


def test_everything_waits_for_the_apis(module: Module) -> None:
    assert [at for at, after in waits(module).items() if not after] == []


def test_access_logs_may_be_written(module: Module) -> None:
    written = [
        body
        for _, of, body in blocks(module)
        if of == "google_storage_bucket_iam_member" and "google_storage_bucket.logs." in str(body["bucket"])
    ]
    assert [(one["role"], one["member"]) for one in written] == [
        (["roles/storage.objectCreator"], ["group:cloud-storage-analytics@google.com"])
    ]


def test_the_longest_name_of_a_deployment_leaves_room_for_what_is_added(module: Module) -> None:
    """An account's id has 30 characters at the most, a bucket's name 63, a project's id 30."""
    (deployment,) = (body for block in module.of("variable") for name, body in block.items() if name == "deployment")
    pattern = re.search(r'regex\("([^"]+)"', str(deployment["validation"][0]["condition"][0]))
    assert pattern
    longest = max(length for length in range(64) if re.match(pattern[1], "a" * length))
    (jobs,) = (str(block["jobs"]) for block in module.of("locals") if "jobs" in block)
    added = [*re.findall(r"'(\w+)'", jobs), "serve", "schedule"]
    assert longest + max(len(f"-{each}") for each in added) <= 30
    assert 30 + 1 + longest + len("-staging") <= 63


@pytest.mark.parametrize("of", ["google_service_networking_connection", "google_sql_database", "google_sql_user"])
def test_what_the_cloud_doesnt_let_go_goes_with_its_owner(module: Module, of: str) -> None:
    """Peerings that Cloud SQL has used, databases with connections, users who own tables or were granted some."""
    (body,) = (body for _, each, body in blocks(module) if each == of)
    assert body["deletion_policy"] == ["ABANDON"]


@pytest.mark.parametrize(
    ("file", "given"),
    [
        pytest.param("templates.tf", {"live": ["subscription", "lanes"]}, id="live"),
        pytest.param("schedules.tf", {"backfill": ["scratch"], "reconcile": []}, id="on a schedule"),
    ],
)
def test_jobs_are_given_parameters_that_their_templates_have(file: str, given: Mapping[str, list[str]]) -> None:
    text = (DEPLOY / "terraform" / file).read_text(encoding="utf-8")
    shared = _keys(_after((DEPLOY / "terraform/templates.tf").read_text(encoding="utf-8"), "parameters = {", "=> {"))
    assert shared == ["definition", "home", "store"]
    for job, own in given.items():
        assert all(re.search(rf"\b{name}\s+= ", text) for name in own)
        known = {one["name"]: one for one in metadata_of(job)["parameters"]}
        assert {*shared, *own} <= known.keys()
        assert {name for name, one in known.items() if not one["isOptional"]} <= {*shared, *own}


def test_a_jobs_environment_has_the_apis_names() -> None:
    shared = _keys(_after((DEPLOY / "terraform/templates.tf").read_text(encoding="utf-8"), "environment = {", "=> {"))
    assert set(shared) | {"sdkContainerImage"} <= {name for name, *_ in ENVIRONMENT.values()}
    assert len(shared) == 6


def _after(text: str, *marks: str) -> str:
    for mark in marks:
        text = text.partition(mark)[2]
    return text.partition("\n    }")[0]


def _keys(text: str) -> list[str]:
    return re.findall(r"(?m)^\s+(\w+)\s+=", text)


def test_the_example_names_variables_and_their_kinds(module: Module) -> None:
    variables = {name: body for block in module.of("variable") for name, body in block.items()}
    given = parsed({"example": (DEPLOY / "terraform/example.tfvars").read_text(encoding="utf-8")}).blocks[0]
    values = {name: value[0] for name, value in given.items() if not name.startswith("__")}
    kinds = dict(declared_kinds(variables.items()))
    assert values.keys() <= variables.keys()
    assert {name for name, body in variables.items() if "default" not in body} <= values.keys()
    assert [line for name, value in values.items() for line in wrong_value(name, kinds[f"var.{name}"], value, {})] == []
