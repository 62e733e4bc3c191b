"""A live run's deliverer is a process of its own, which nothing but the run ends for good."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes.stages import ROOT, wait_for
from samples.sources import VISITS
from without_runner.result_stories import Event, Story, definition_of

from tandem.pipelines.delivery.beside.process import delivering
from tandem.schemas.definition.loading import loads

MODULE = b"tandem.pipelines.delivery.beside.main"


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path / "v.db", definition_of(f"{{window: 1m, to: {{files: {tmp_path / 'sent'}}}}}"))
    story.serve()
    yield story
    story.close()


def sent(folder: Path) -> list[str]:
    """`timing user` of each message in the files, ordered."""
    lines = [line for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]
    return sorted(f"{message['timing']} {message['key']['user']}" for message in map(json.loads, lines))


def deliverers(of: int) -> list[int]:
    """The processes that deliver for a process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == of and MODULE in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def place(story: Story) -> str:
    return str(story.store.database.url.database)


def test_it_delivers_while_the_run_lasts_and_what_is_due_at_its_end(story: Story, tmp_path: Path) -> None:
    with delivering(place(story), [story.compiled.definition]):
        story.live(Event(0.1))
        story.watermark(2)
        wait_for("the first window", lambda: sent(tmp_path / "sent") == ["ON_TIME ann"])
        story.live(Event(2.1, user="bob"))
        story.watermark(4)
    assert sent(tmp_path / "sent") == ["ON_TIME ann", "ON_TIME bob"]
    assert deliverers(os.getpid()) == []
    assert story.new_deliverer("other").run_once() is not None, "the lease is free"


def test_the_list_of_processes_shows_no_place_of_the_store(story: Story) -> None:
    with delivering(place(story), [story.compiled.definition]):
        (pid,) = wait_for("a process", lambda: deliverers(os.getpid()))
        assert place(story).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert place(story).encode() not in Path(f"/proc/{pid}/environ").read_bytes()


def test_no_signal_to_all_of_a_service_ends_it(story: Story, tmp_path: Path) -> None:
    with delivering(place(story), [story.compiled.definition]):
        story.live(Event(0.1))
        story.watermark(2)
        wait_for("the first window", lambda: sent(tmp_path / "sent"))
        (pid,) = deliverers(os.getpid())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        story.live(Event(2.1, user="bob"))
        story.watermark(4)
        wait_for("the second window", lambda: len(sent(tmp_path / "sent")) == 2)
        assert deliverers(os.getpid()) == [pid]


def test_one_that_dies_is_started_again_and_needn_t_wait_for_the_lease(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with delivering(place(story), [story.compiled.definition]):
        story.live(Event(0.1))
        story.watermark(2)
        wait_for("the first window", lambda: sent(tmp_path / "sent"))
        (pid,) = deliverers(os.getpid())
        os.kill(pid, signal.SIGKILL)
        story.live(Event(2.1, user="bob"))
        story.watermark(4)
        wait_for("the second window", lambda: len(sent(tmp_path / "sent")) == 2)
        assert deliverers(os.getpid()) != [pid]
    wait = "results wait: the process that delivers them was killed by SIGKILL; it is started again in 1 s\n"
    assert capsys.readouterr().err == wait


def test_errors_of_an_output_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sent").write_text("no folder")
    story = Story(tmp_path / "v.db", definition_of(f"{{window: 1m, to: {{files: {tmp_path / 'sent'}}}}}"))
    story.serve()
    story.live(Event(0.1))
    story.watermark(2)
    with delivering(place(story), [story.compiled.definition]):
        pass
    assert capsys.readouterr().err.startswith(f"visits: files {tmp_path}/sent: ")
    story.close()


def test_it_ends_with_a_run_that_is_killed(story: Story, tmp_path: Path) -> None:
    (tmp_path / "definition").write_bytes(pickle.dumps(story.compiled.definition))
    program = f"""
import pickle, sys
from tandem.pipelines.delivery.beside.process import delivering
with delivering({place(story)!r}, [pickle.load(open({str(tmp_path / "definition")!r}, "rb"))]):
    print("begun", flush=True)
    sys.stdin.read()
"""
    run = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stdout.readline() == b"begun\n"
    (pid,) = wait_for("a process", lambda: deliverers(run.pid))
    run.kill()
    run.wait()
    wait_for("its end", lambda: not Path(f"/proc/{pid}").exists())


def test_a_definition_without_results_starts_nothing() -> None:
    text = VISITS.format(tile="1m", lateness="0s") + "measures: {n: count}\n"
    with delivering("sqlite:////nowhere/v.db", [loads(text)]):
        assert deliverers(os.getpid()) == []
