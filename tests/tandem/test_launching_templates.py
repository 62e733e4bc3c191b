"""`tandem template flex run`: flags about the machines are looked at before anything is sent, as parameters are."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from tandem.app import app

WORDS: Final = (
    *("template", "flex", "run", "live", "--template", "gs://b/live.json", "--project", "demo", "--show"),
    *("--region", "europe-west1", "--definition", "gs://b/clicks.yaml", "--home", "gs://b/home"),
    *("--store", "postgresql://t@10.0.0.3/tandem", "--subscription", "projects/demo/subscriptions/clicks"),
)


@pytest.mark.parametrize(
    ("flag", "key", "value"),
    [
        pytest.param("--enable_streaming_engine", "enableStreamingEngine", True, id="a switch alone"),
        pytest.param("--enable_streaming_engine=False", "enableStreamingEngine", False, id="a switch that is off"),
        pytest.param("--max-workers=4", "maxWorkers", 4, id="a number"),
        pytest.param("--additional_experiments=a,b=c", "additionalExperiments", ["a", "b=c"], id="several"),
        pytest.param("--temp_location=gs://b/temp", "tempLocation", "gs://b/temp", id="a place"),
        pytest.param("--ip_configuration=WORKER_IP_PRIVATE", "ipConfiguration", "WORKER_IP_PRIVATE", id="one of two"),
        pytest.param("--network=projects/p/global/networks/n", "network", "projects/p/global/networks/n", id="a name"),
    ],
)
def test_what_the_api_is_told(flag: str, key: str, value: Any) -> None:
    done = CliRunner().invoke(app, [*WORDS, flag])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["launchParameter"]["environment"] == {key: value}


@pytest.mark.parametrize(
    "flag",
    [
        "--enable_streaming_engine=banana",
        "--enable_streaming_engine=",
        "--ip_configuration=PRIVATE",
        "--temp_location=/tmp/here",
        "--staging_location=gs://",
        "--max_workers=0",
        "--max_workers=-3",
        "--max_workers=4.5",
        "--max_workers=\u0664",
        "--max_workers=99999999999999999999",
        "--disk_size_gb=big",
        "--service_account_email=nobody",
        "--additional_experiments=",
        "--additional_experiments=a,,b",
        "--network=net work",
        "--worker_region=a/b",
        "--kms_key_name=key",
        "--machine_type=n2\n",
        "--max_wrokers=4",
    ],
)
def test_what_the_api_would_refuse_is_said_in_one_line(flag: str) -> None:
    done = CliRunner().invoke(app, [*WORDS, flag])
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert flag.partition("=")[0] in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
