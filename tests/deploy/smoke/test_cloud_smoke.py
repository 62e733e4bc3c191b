"""`make cloud-smoke` without a cloud: gcloud, docker and terraform are stand-ins that note what they are asked.

What can be held here: the order of steps, that names and outputs are the module's, that Tandem's own command lines are
right, and that everything is taken away whatever fails.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from deployments.deploy_tools import DEPLOY
from typer.testing import CliRunner

from tandem.app import app
from tandem.views.storage.access.grants import ROLES

SCRIPT: Final = DEPLOY / "smoke/run.sh"
TOOLS: Final = ("gcloud", "docker", "terraform", "tandem", "sleep")
_STAND_IN: Final = r"""#!/usr/bin/env bash
name=$(basename "$0")
line="$name $*"
jq -cn --args '$ARGS.positional' -- "$name" "$@" >> "$NOTED"
if [ -n "$FAILS" ] && [[ "$line" == $FAILS ]]; then echo "stand-in: $FAILS" >&2; exit 9; fi
case "$line" in
  "terraform version -json") echo "{\"terraform_version\": \"$TERRAFORM\"}" ;;
  *"config get-value account") echo "$ACCOUNT" ;;
  *"output -json stores") cat "$ANSWERS/stores" ;;
  *"output -json templates") echo '{"backfill":"gs://my-project-smoke-staging/templates/backfill.json"}' ;;
  *"output -raw topic") echo projects/p/topics/smoke ;;
  *"output -raw home") echo gs://my-project-smoke-home/smoke ;;
  *"inspect"*) echo "$ANSWERS_IMAGE" ;;
  *"storage ls"*) echo gs://my-project-smoke-home/smoke/definitions/clicks-12ab.yaml ;;
  *" query clicks "*) cat "$ANSWERS/query" ;;
esac
"""
_STORES: Final = {
    user: f"postgresql://tandem-{user}@10.0.0.3/tandem?sslmode=require&password_from=gcp:projects/p/secrets/{user}"
    for user in (*ROLES, "owner")
}


class Smoke:
    """The script among stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.noted = folder, folder / "noted"
        (folder / "bin").mkdir()
        for name in TOOLS:
            path = folder / "bin" / name
            path.write_text(_STAND_IN, encoding="utf-8")
            path.chmod(0o755)
        (folder / "stores").write_text(json.dumps(_STORES), encoding="utf-8")
        self.answer(2, 2)

    def answer(self, clicks: int, batch: int) -> None:
        """What the machine of the network says when it is asked."""
        said = {"results": {"clicks": clicks}, "certificate": {"batch_events": batch}}
        (self.folder / "query").write_text(json.dumps(said), encoding="utf-8")

    def run(self, fails: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it; `fails`: the pattern of a call that doesn't succeed."""
        image = f"europe-west1-docker.pkg.dev/my-project/smoke/tandem@sha256:{'1' * 64}"
        environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "TMPDIR": str(self.folder),
            "HOME": str(self.folder),
            "NOTED": str(self.noted),
            "ANSWERS": str(self.folder),
            "ANSWERS_IMAGE": image,
            "FAILS": fails,
            "TANDEM": "tandem",
            "PROJECT": "my-project",
            "ACCOUNT": "me@example.com",
            "TERRAFORM": "1.11.4",
        }
        return subprocess.run(
            ["bash", str(SCRIPT)], env={**environment, **variables}, capture_output=True, text=True, timeout=120
        )

    def calls(self, tool: str, *words: str) -> list[list[str]]:
        """The calls of a tool that have these words, in order."""
        lines = [json.loads(line) for line in self.noted.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line[0] == tool and all(word in line for word in words)]


@pytest.fixture
def smoke(tmp_path: Path) -> Smoke:
    return Smoke(tmp_path)


def test_it_ends_well_and_takes_everything_away(smoke: Smoke) -> None:
    done = smoke.run()
    assert done.returncode == 0, done.stderr + done.stdout
    assert "right: 2 events by live, and the same 2 by batch" in done.stdout
    assert smoke.calls("terraform", "destroy")
    last = json.loads(smoke.noted.read_text(encoding="utf-8").splitlines()[-1])
    assert last[0] == "terraform"
    assert "destroy" in last
    built = {word for call in smoke.calls("docker", "build") for word in call if word.startswith("TEMPLATE=")}
    assert built == {"TEMPLATE=live", "TEMPLATE=backfill", "TEMPLATE=reconcile"}
    steps = [re.sub(r"^== ", "", line) for line in done.stdout.splitlines() if line.startswith("== ")]
    assert len(steps) == 7, steps


def test_what_it_names_is_the_modules(smoke: Smoke) -> None:
    smoke.run()
    text = "\n".join(path.read_text(encoding="utf-8") for path in (DEPLOY / "terraform").glob("*.tf"))
    declared, outputs = (set(re.findall(rf'^{kind} "(\w+)"', text, re.MULTILINE)) for kind in ("variable", "output"))
    calls = smoke.calls("terraform")
    given = {call[at + 1].partition("=")[0] for call in calls for at, word in enumerate(call) if word == "-var"}
    assert given <= declared
    assert {"project", "deployment", "definitions", "images", "live", "database", "schedules"} <= given
    asked = {call[-1] for call in calls if "output" in call}
    assert asked == {"stores", "topic", "home", "templates"}
    assert asked <= outputs
    for address in (word.removeprefix("-target=") for call in calls for word in call if word.startswith("-target=")):
        kind, _, name = address.partition(".")
        assert f'resource "{kind}" "{name}"' in text


def test_tandems_own_command_lines_are_right(smoke: Smoke) -> None:
    smoke.run()
    (launch,) = smoke.calls("tandem", "flex", "run")
    shown = CliRunner().invoke(app, [*launch[1:], "--show"])
    assert shown.exit_code == 0, shown.output
    body: dict[str, Any] = json.loads(shown.stdout)["launchParameter"]
    assert body["parameters"]["store"] == _STORES["backfill"]
    assert body["environment"]["sdkContainerImage"].startswith("europe-west1-docker.pkg.dev/my-project/")
    commands = [shlex.split(call[call.index("--command") + 1]) for call in smoke.calls("gcloud", "ssh")]
    grants = [words for words in commands if "grant" in words]
    assert [words[words.index("grant") + 1] for words in grants] == ["live", "backfill", "reconcile", "serve"]
    assert all(words[-1] == _STORES["owner"] for words in grants)
    for words in (["store", "grant", "--help"], ["query", "--help"]):
        assert CliRunner().invoke(app, words).exit_code == 0


@pytest.mark.parametrize(
    ("fails", "before"),
    [
        pytest.param("docker push*", "terraform", id="an image that can't be pushed"),
        pytest.param("*live={enabled=false}*", "docker", id="a deployment that can't be made"),
        pytest.param("*create-with-container*", "gcloud", id="no machine of the network"),
        pytest.param("tandem template flex run*", "tandem", id="a launch that is refused"),
    ],
)
def test_whatever_fails_it_is_taken_away(smoke: Smoke, fails: str, before: str) -> None:
    done = smoke.run(fails)
    assert done.returncode != 0
    assert "right:" not in done.stdout
    assert smoke.calls(before)
    assert smoke.calls("terraform", "destroy")


def test_taking_away_has_what_terraform_needs_and_stops_live_first(smoke: Smoke) -> None:
    smoke.run("docker push*")
    text = (DEPLOY / "terraform/variables.tf").read_text(encoding="utf-8")
    blocks = re.findall(r'(?ms)^variable "(\w+)" \{(.*?)^\}', text)
    needed = {name for name, body in blocks if not re.search(r"^  default", body, re.MULTILINE)}
    calls = [call for call in smoke.calls("terraform") if {"apply", "destroy"} & set(call)]
    for call in calls:
        assert needed <= {call[at + 1].partition("=")[0] for at, word in enumerate(call) if word == "-var"}
    order = [json.loads(line) for line in smoke.noted.read_text(encoding="utf-8").splitlines()]
    stopped = next(at for at, call in enumerate(order) if "-target=google_dataflow_flex_template_job.live" in call)
    emptied = next(at for at, call in enumerate(order) if call[1:3] == ["storage", "rm"])
    assert stopped < emptied


def test_what_cant_be_taken_away_is_tried_again_and_named(smoke: Smoke) -> None:
    done = smoke.run("*module destroy*")
    assert "left over: deployment smoke-" in done.stdout
    assert len([call for call in smoke.calls("terraform", "destroy") if "-target" not in str(call)]) == 3


def test_the_machine_is_waited_for(smoke: Smoke) -> None:
    done = smoke.run("* tandem * --version*")
    assert done.returncode == 1
    assert "no command runs on smoke-" in done.stderr
    assert len(smoke.calls("sleep", "15")) == 39


def test_wrong_answers_are_said(smoke: Smoke) -> None:
    smoke.answer(1, 2)
    done = smoke.run()
    assert done.returncode == 1
    assert "live hasn't counted 2 events in 15 minutes" in done.stderr
    assert smoke.calls("terraform", "destroy")


def test_it_is_left_where_that_is_wanted(smoke: Smoke) -> None:
    done = smoke.run(KEEP="1")
    assert done.returncode == 0
    assert "left as it is: deployment smoke-" in done.stdout
    assert not smoke.calls("terraform", "destroy")


@pytest.mark.parametrize(
    ("fails", "variables", "said"),
    [
        pytest.param("", {"PROJECT": ""}, "make cloud-smoke PROJECT=my-project", id="no project"),
        pytest.param("", {"PROJECT": "My Project"}, "make cloud-smoke PROJECT=my-project", id="a project's title"),
        pytest.param("", {"PROJECT": "x; rm -r y"}, "make cloud-smoke PROJECT=my-project", id="a command as project"),
        pytest.param("", {"REGION": "europe"}, "REGION=europe", id="a region that is none"),
        pytest.param("", {"TERRAFORM": "1.9.8"}, "Terraform 1.9.8 is too old", id="an old Terraform"),
        pytest.param("docker info", {}, "docker doesn't answer", id="no daemon"),
        pytest.param("", {"ACCOUNT": ""}, "gcloud auth login", id="nobody is signed in"),
        pytest.param("*auth print-access-token", {}, "gcloud auth login", id="a sign-in that has expired"),
        pytest.param("*default print-*", {}, "application-default login", id="no credentials for others"),
        pytest.param("*projects describe*", {}, "doesn't see a project my-project", id="another's project"),
    ],
)
def test_what_is_missing_is_one_line_before_anything_is_made(
    smoke: Smoke, fails: str, variables: dict[str, str], said: str
) -> None:
    done = smoke.run(fails, **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    if smoke.noted.exists():
        calls = smoke.calls("gcloud") + smoke.calls("docker") + smoke.calls("terraform")
        assert not [call for call in calls if {"init", "apply", "destroy", "build", "enable", "create"} & set(call)]


def test_without_a_tool_nothing_is_begun(smoke: Smoke) -> None:
    (smoke.folder / "bin/docker").unlink()
    for name in ("bash", "dirname", "date", "mktemp"):
        (smoke.folder / "bin" / name).symlink_to(str(shutil.which(name)))
    done = smoke.run(PATH=f"{smoke.folder}/bin")
    assert (done.returncode, done.stderr) == (2, "docker is missing\n")
    assert not smoke.noted.exists()
