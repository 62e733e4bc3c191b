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


STAGING = "--staging_location=gs://bucket/staging"
DEMO = ("--project=demo", "--region=europe-west1", STAGING)


@pytest.mark.parametrize(
    ("words", "to", "says"),
    [
        pytest.param(["live", "--project=demo"], "job", "no classic template is named 'live'", id="live"),
        pytest.param(["backfill", STAGING], "job", "project", id="no project"),
        pytest.param(["backfill", *DEMO[:2]], "job", "--staging_location is missing", id="no folder: one is created"),
        pytest.param(["backfill", *DEMO[:2], "--temp_location=/tmp"], "job", "gs://BUCKET/NAME", id="a folder here"),
        pytest.param(["backfill", *DEMO, "--temp_location=gs://b/t"], "job", "--temp_location", id="no bucket's name"),
        pytest.param(["backfill", *DEMO, "--num_workers=x"], "job", "invalid int value: 'x'", id="a value"),
        pytest.param(["backfill", *DEMO, "--frob=x"], "job", "'--frob=x' is no flag of Beam's", id="a flag"),
        pytest.param(["backfill", *DEMO], "no/job", "a file in a folder that exists", id="a folder that isn't there"),
        pytest.param(["backfill", *DEMO, "--temp_location=gs://bucket/\x1b"], "job", "gs://BUCKET/NAME", id="controls"),
        pytest.param(["backfill", *DEMO], "gs://bucket", "the object's name is missing", id="a bucket"),
        pytest.param(["backfill", *DEMO], "s3://bucket/job", "gs://BUCKET/NAME", id="another cloud"),
        pytest.param(["backfill", *DEMO], "", "a file in a folder that exists", id="nowhere: a job would be started"),
        pytest.param(["backfill", *DEMO], "job", "gs://bucket: no credentials", id="no credentials"),
    ],
)
def test_what_cant_be_written_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], to: str, says: str
) -> None:
    def ran(*arguments: Any) -> Any:
        raise AssertionError("Beam is asked, and retries for minutes")

    monkeypatch.setattr("tandem.pipelines.templated.classic.launch", ran)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path.parent / "no-credentials"))
    for variable in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(variable, raising=False)
    place = to if not to or "://" in to else f"{tmp_path}/{to}"
    done = CliRunner().invoke(app, ["template", "classic", "build", *words, "--to", place])
    assert (done.exit_code, done.stderr.count("error: ")) == (2, 1), done.output
    assert says in done.output
    assert list(tmp_path.iterdir()) == []
