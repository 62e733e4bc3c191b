"""The Compose file is one that Compose takes: no secret in it, nothing open to others, commands that Tandem has."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import pytest
from deployments.deploy_tools import DEPLOY, ran, tool

from tandem.pipelines.launchables import launchable
from tandem.pipelines.unbounded.config import parse
from tandem.runners.options.reading import read_arguments

FILE: Final = DEPLOY / "compose/compose.yaml"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran(tool("docker-compose"), "-f", str(FILE), "config", "--format", "json"))
    return found


def test_compose_takes_it(made: dict[str, Any]) -> None:
    assert made["services"].keys() == {"store", "pgpass", "pubsub", "topic", "live", "backfill", "serve"}


@pytest.mark.parametrize("name", ["pubsub", "topic", "live", "backfill", "serve"])
def test_services_are_unprivileged(made: dict[str, Any], name: str) -> None:
    service = made["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]


def test_only_this_machine_is_listened_to(made: dict[str, Any]) -> None:
    ports = [port for service in made["services"].values() for port in service.get("ports", ())]
    assert [port["host_ip"] for port in ports] == ["127.0.0.1"]
    assert made["networks"]["inside"]["internal"] is True


def test_no_password_is_in_it(made: dict[str, Any]) -> None:
    text = json.dumps(made)
    assert "POSTGRES_PASSWORD_FILE" in text
    assert '"POSTGRES_PASSWORD"' not in text
    assert "tandem:tandem@" not in text
    assert made["secrets"]["store-password"]["file"].endswith("secrets/store-password")


def test_commands_are_ones_that_tandem_takes(made: dict[str, Any]) -> None:
    live = [
        word.replace("/definitions/", f"{DEPLOY.parent}/examples/clicks/")
        for word in made["services"]["live"]["command"]
    ]
    config, _ = parse(read_arguments("live", live[1:]))
    assert config.home.store == "postgresql://tandem@store:5432/tandem"
    (script,) = made["services"]["backfill"]["command"]
    (line,) = (line.strip() for line in script.splitlines() if line.strip().startswith("tandem"))
    words = [word.replace("/definitions/", f"{DEPLOY.parent}/examples/clicks/") for word in line.split()[2:]]
    assert launchable("backfill").sketch(read_arguments("backfill", words))


@pytest.mark.parametrize("name", ["live", "serve", "backfill"])
def test_services_wait_for_the_store(made: dict[str, Any], name: str) -> None:
    assert made["services"][name]["depends_on"]["store"]["condition"] == "service_healthy"


def test_a_real_subscription_needs_no_emulator() -> None:
    env = {**os.environ, "TANDEM_SUBSCRIPTION": "projects/p/subscriptions/s", "PUBSUB_EMULATOR_HOST": ""}
    text = ran("env", *(f"{key}={env[key]}" for key in ("TANDEM_SUBSCRIPTION", "PUBSUB_EMULATOR_HOST")),
               tool("docker-compose"), "-f", str(FILE), "config", "--format", "json")  # fmt: skip
    live = json.loads(text)["services"]["live"]
    assert "--subscription=projects/p/subscriptions/s" in live["command"]
    assert live["environment"]["PUBSUB_EMULATOR_HOST"] == ""
