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
  *"config get-value account") echo me@example.com ;;
  *"output -json stores") cat "$ANSWERS/stores" ;;
  *"output -json templates") echo '{"backfill":"gs://p-smoke-staging/templates/backfill.json"}' ;;
  *"output -raw topic") echo projects/p/topics/smoke ;;
  *"output -raw home") echo gs://p-smoke-home/smoke ;;
  *"inspect"*) echo "$ANSWERS_IMAGE" ;;
  *"storage ls"*) echo gs://p-smoke-home/smoke/definitions/clicks-12ab.yaml ;;
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
        image = f"europe-west1-docker.pkg.dev/p/smoke/tandem@sha256:{'1' * 64}"
        environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "TMPDIR": str(self.folder),
            "HOME": str(self.folder),
            "NOTED": str(self.noted),
            "ANSWERS": str(self.folder),
            "ANSWERS_IMAGE": image,
            "FAILS": fails,
            "TANDEM": "tandem",
            "PROJECT": "p",
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
    assert body["environment"]["sdkContainerImage"].startswith("europe-west1-docker.pkg.dev/p/")
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


def test_without_a_project_or_a_tool_nothing_is_begun(smoke: Smoke) -> None:
    done = smoke.run(PROJECT="")
    assert "make cloud-smoke PROJECT=my-project" in done.stderr
    (smoke.folder / "bin/docker").unlink()
    for name in ("bash", "dirname", "date", "mktemp"):
        (smoke.folder / "bin" / name).symlink_to(str(shutil.which(name)))
    done = smoke.run(PATH=f"{smoke.folder}/bin")
    assert (done.returncode, done.stderr) == (2, "docker is missing\n")
    assert not smoke.noted.exists()
