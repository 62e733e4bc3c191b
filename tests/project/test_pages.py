"""How-to pages and the tutorial are run from their first line to their last.

Pages stand in an empty folder with the example of clicks and `tandem` on the path. Some take something for granted, a
broker and events most often: the script of their name in tests/support/documents/before makes it, and `common.sh` there
says what else is otherwise than on the page. What pages that need nothing print is what they show.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import pytest
from documents.blocks import ROOT, blocks
from documents.by_themselves import BY_THEMSELVES, HOW_TO
from processes.ports import free_port
from processes.warm_tandem import warm_tandem
from servers.object_servers import BUCKET, running

pytestmark = [pytest.mark.xdist_group("pages"), pytest.mark.timeout(900)]

BEFORE: Final = ROOT / "tests/support/documents/before"
NOT_RUN: Final = {
    "deploy-on-a-machine": "starts containers and services; tests/deploy/machine has its files",
    "deploy-on-google-cloud": "makes what costs money; tests/deploy/terraform has its files, make cloud-smoke does it",
    "deploy-on-kubernetes": "needs a cluster; tests/deploy/helm has its files",
    "run-on-flink": "takes minutes on a cluster; tests/flink does what it says on a real one",
    "test": "shows how tests are run, no commands of Tandem",
}
"""Why the others aren't: their commands are parsed all the same."""
LONG: Final = {
    "backfill",
    "change-a-definition",
    "object-stores",
    "rebuild",
    "reconcile",
    "restart-after-crash",
    "roll-back",
    "verify",
}
"""About a minute each: left to `make pages`."""
PREPARED: Final = tuple(sorted(path.stem for path in BEFORE.glob("*.sh") if path.stem != "common"))
_AT_ONCE: Final = 5
"""Many of them wait for their broker most of the time."""
_PATIENCE: Final = 600.0

_SCRIPT: Final = """\
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
[ -z "$BEFORE" ] || { . "$(dirname "$BEFORE")/common.sh"; . "$BEFORE"; }
page=$(cat page.sh)
for each in ${names[@]+"${names[@]}"}; do page=${page//"${each%%=>*}"/"${each#*=>}"}; done
eval "$page"
[ -z "$BEFORE" ] || after
"""


@dataclass(frozen=True)
class Ran:
    code: int
    printed: str
    errors: str


@dataclass(frozen=True)
class Pages:
    """Runs pages, some at once."""

    folder: Path
    tandem: Path
    """Where the command lies."""
    environment: dict[str, str]
    """Read before the first page is begun: pytest changes the process's own with each test, beside which pages run."""

    def run(self, page: Path) -> Ran:
        folder, before = self.folder / page.stem, BEFORE / f"{page.stem}.sh"
        shutil.copytree(ROOT / "examples/clicks", folder / "examples/clicks")
        port = str(free_port())
        script = "".join(block.text for block in blocks(page, "bash")).replace("8085", port)
        (folder / "page.sh").write_text(script, encoding="utf-8")
        paths = (str(self.tandem), str(Path(sys.executable).parent), self.environment["PATH"])
        environment = {
            **self.environment,
            "PATH": os.pathsep.join(paths),
            "EMULATOR_PORT": port,
            "REPOSITORY": str(ROOT),
            "BEFORE": str(before) if before.exists() else "",
        }
        environment.pop("TANDEM_HOME", None)
        out, errors = folder / "printed.txt", folder / "errors.txt"
        with out.open("w") as printed, errors.open("w") as said:
            code = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", _SCRIPT],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=said,
                timeout=_PATIENCE,
                check=False,
            ).returncode
        return Ran(code, out.read_text(), errors.read_text())


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Ran]]:
    """What became of a page; those that are asked for are begun together."""
    folder = tmp_path_factory.mktemp("pages")
    mine = [item for item in request.session.items if isinstance(item, pytest.Function) and "ran" in item.fixturenames]
    wanted = [cast(Path, item.callspec.params["page"]) for item in mine]
    with ExitStack() as stack:
        environment = {**os.environ, "BUCKET": BUCKET}
        if any(page.stem == "object-stores" for page in wanted):
            for kind in ("gcs", "s3"):
                environment |= stack.enter_context(running(kind, folder / kind)).environment
        pages = Pages(folder, stack.enter_context(warm_tandem(folder)), environment)
        pool = ThreadPoolExecutor(_AT_ONCE)
        stack.callback(pool.shutdown, cancel_futures=True)
        begun: dict[Path, Future[Ran]] = {page: pool.submit(pages.run, page) for page in dict.fromkeys(wanted)}
        yield lambda page: begun[page].result()


def words_of(line: str) -> str:
    """A line of output without its layout."""
    return " ".join(line.split())


@pytest.mark.long
@pytest.mark.parametrize("page", BY_THEMSELVES, ids=lambda page: page.stem)
def test_pages_from_their_first_line_to_their_last(page: Path, ran: Callable[[Path], Ran]) -> None:
    done = ran(page)
    assert done.code == 0, done.errors
    printed = {words_of(line) for line in done.printed.splitlines()}
    shown = [(str(b), words_of(line)) for b in blocks(page, "text") for line in b.text.splitlines()]
    assert [(where, line) for where, line in shown if line not in printed] == [], done.printed


@pytest.mark.long
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(HOW_TO / f"{name}.md", id=name, marks=[pytest.mark.slow] if name in LONG else [])
        for name in PREPARED
    ],
)
def test_pages_with_what_they_take_for_granted(page: Path, ran: Callable[[Path], Ran]) -> None:
    done = ran(page)
    assert done.code == 0, done.printed[-2000:] + done.errors[-4000:]


def test_every_how_to_page_is_run_or_says_why_not() -> None:
    pages = sorted(page.stem for page in HOW_TO.glob("*.md"))
    assert pages == sorted([*(page.stem for page in BY_THEMSELVES if page.parent == HOW_TO), *PREPARED, *NOT_RUN])


@pytest.mark.parametrize("name", NOT_RUN)
def test_what_a_reason_names_is_there(name: str) -> None:
    named = [word.strip(";,") for word in NOT_RUN[name].split() if word.startswith("tests/")]
    assert all((ROOT / path).is_dir() for path in named)
