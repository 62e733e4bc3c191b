"""Classic templates: what a start is given becomes a command's words; what is wrong is refused before it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from typer.testing import CliRunner

from tandem.app import app
from tandem.pipelines.templated.classic import CLASSIC, classic_pipeline, words_at_start
from tandem.schemas.errors import UserError

GIVEN: dict[str, Any] = {
    "definition": "gs://b/sales.yaml",
    "files": "gs://b/a*,gs://b/c*",
    "home": "gs://b/home",
    "store": "postgresql://me@db/tandem",
    "max_bad": None,
}


def test_what_a_start_is_given_becomes_words() -> None:
    assert words_at_start("backfill", {**GIVEN, "copies": "true"}) == [
        "--definition=gs://b/sales.yaml",
        "--files=gs://b/a*",
        "--files=gs://b/c*",
        "--home=gs://b/home",
        "--store=postgresql://me@db/tandem",
        "--copies",
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"home": None}, "--home is missing", id="nothing where something is needed"),
        pytest.param({"home": "data"}, "--home 'data': it must fit", id="a folder that no worker shares"),
        pytest.param({"speed": "9"}, "--speed: template backfill has no such parameter", id="unknown"),
    ],
)
def test_a_start_that_is_wrong_is_one_line(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        words_at_start("backfill", {**GIVEN, **given})


@pytest.mark.parametrize("name", CLASSIC)
def test_the_graph_has_one_step_that_runs(name: str) -> None:
    pipeline = classic_pipeline(name, PipelineOptions([]))
    names = {each.full_label for each in pipeline.transforms_stack[0].parts}
    assert names == {name.capitalize()}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["live", "--project=demo"], "no classic template is named 'live'", id="live"),
        pytest.param(["backfill"], "project", id="no project"),
    ],
)
def test_what_cant_be_written_is_refused(tmp_path: Path, words: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["template", "classic", "build", *words, "--to", f"{tmp_path}/job"])
    assert done.exit_code == 2
    assert says in done.output
    assert list(tmp_path.iterdir()) == []
