"""`tandem results schema` and `register`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from without_runner.result_stories import TEXT

from tandem.app import app
from tandem.emulator.server import EmbeddedPubSub

SCHEMA, TOPIC = "projects/demo/schemas/visits", "projects/demo/topics/visits"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["results", *arguments])


@pytest.fixture
def definition(tmp_path: Path) -> str:
    path = tmp_path / "visits.yaml"
    result = f"{{window: 1m, to: [log, {{pubsub: {TOPIC}, format: avro}}]}}"
    path.write_text(TEXT.format(result=result, tile="1m", lateness="0s", measures="{n: count}"), encoding="utf-8")
    return str(path)


def test_both_schemas_are_printed_without_a_store(definition: str) -> None:
    avro, stated = (run("schema", definition, "r", "--format", form) for form in ("avro", "json"))
    assert json.loads(avro.stdout)["name"] == "visits_r"
    assert json.loads(stated.stdout)["properties"]["results"]["anyOf"][0]["required"] == ["n"]


def test_a_schema_is_registered_and_given_to_the_topics(definition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedPubSub() as pubsub:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        made, again = (run("register", definition, "r", "--schema", SCHEMA) for _ in range(2))
    assert made.stdout == f"{SCHEMA}: created\n{TOPIC}: created\n", made.stderr
    assert again.stdout == f"{SCHEMA}: is there already\n{TOPIC}: has the schema already\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["schema", "{}", "x"], "visits has no result 'x': it has r", id="no-such-result"),
        pytest.param(["schema", "{}", "r", "--format", "xml"], "--format xml: the schema is avro or json", id="format"),
        pytest.param(
            ["register", "{}", "r", "--schema", "visits"],
            "'visits' is not the name of a schema; write projects/PROJECT/schemas/NAME",
            id="name-of-a-schema",
        ),
    ],
)
def test_what_is_refused(definition: str, arguments: list[str], message: str) -> None:
    done = run(*(argument.format(definition) for argument in arguments))
    assert (done.exit_code, done.stderr) == (2, f"error: {message}\n")
