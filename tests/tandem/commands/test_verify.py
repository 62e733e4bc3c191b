"""`tandem verify` as users call it: what is right passes, what depends on the order is found and shown."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from breaking.breaks import BREAKS
from samples.verify_samples import CLICKS, FLIGHTS, PLANTED_MODULE, PLANTS, clicks, flights, write_lines
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.measures import registry


def verify(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


@pytest.fixture(autouse=True)
def _compiled_anew() -> Iterator[None]:
    """Compiled definitions hold measures: those of a test with plants must not be left to the next."""
    kinds = dict(registry._KINDS)
    compile_definition.cache_clear()
    yield
    registry._KINDS.clear()
    registry._KINDS.update(kinds)
    compile_definition.cache_clear()


@pytest.fixture
def sample(tmp_path: Path) -> dict[Path, str]:
    """Of each shipped definition a file of events."""
    return {
        CLICKS: write_lines(tmp_path / "clicks.jsonl", clicks()),
        FLIGHTS: write_lines(tmp_path / "flights.jsonl", flights()),
    }


@pytest.mark.parametrize("definition", [pytest.param(CLICKS, id="clicks"), pytest.param(FLIGHTS, id="flights")])
def test_shipped_definitions_give_one_answer(definition: Path, sample: dict[Path, str]) -> None:
    done = verify(definition, sample[definition], "--examples", 2, "--seed", 4)
    assert done.exit_code == 0, done.output
    numbers = re.fullmatch(
        r"\w+: batch, live and merged agree: (\d+) events, 2 schedules, (\d+) boundary positions, ([\d,]+) answers "
        r"compared, (\d+) divisions of measures, \d+ copies, \d+ late, seed 4\n",
        done.stdout,
    )
    assert numbers is not None, done.stdout
    events, boundaries, answers, divisions = (int(text.replace(",", "")) for text in numbers.groups())
    assert events >= 180
    assert boundaries >= 3
    assert answers >= 20
    assert divisions >= 60


@pytest.mark.slow
def test_the_same_seed_gives_the_same_output(sample: dict[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ("--examples", 1, "--seed", 9, "--max-events", 12)
    twice = [verify(CLICKS, sample[CLICKS], *settings) for _ in range(2)]
    assert twice[0].exit_code == 0, twice[0].output
    assert twice[0].stdout == twice[1].stdout
    assert verify(CLICKS, sample[CLICKS], *settings, "--seed", 10).stdout != twice[0].stdout
    BREAKS["every_copy_counts"](monkeypatch)
    twice = [verify(CLICKS, sample[CLICKS], "--seed", 9, "--max-events", 5) for _ in range(2)]
    assert twice[0].exit_code == 1
    assert twice[0].stdout == twice[1].stdout


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_measure_is_found(name: str, sample: dict[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    definition, plant = PLANTS[name]
    plant(monkeypatch)
    begun = time.monotonic()
    done = verify(definition, sample[definition])
    assert time.monotonic() - begun < 60
    assert done.exit_code == 1, done.output
    assert "measure " in done.stderr
    assert "def test_" in done.stdout
    payloads = done.stdout.split("PAYLOADS = (")[1].split("\n)\n")[0]
    assert 1 <= payloads.count("\n    b") <= 5, payloads


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        # a copy that is sent twice shows it; no other step is needed
        pytest.param("every_copy_counts", {"send"}, id="copies count"),
        pytest.param("nothing_is_late", {"send", "pull", "roll", "wait"}, id="nothing is late", marks=pytest.mark.slow),
    ],
)
def test_a_product_that_is_broken_is_found(
    name: str, steps: set[str], sample: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    BREAKS[name](monkeypatch)
    done = verify(CLICKS, sample[CLICKS], "--max-events", 40, "--time", "100s")
    assert done.exit_code == 1, done.output
    kinds = re.findall(r"^        \('([a-z ]+)', \d+\),$", done.stdout, flags=re.MULTILINE)
    assert 2 <= len(kinds) <= 12, kinds
    assert steps & set(kinds)
    assert len(re.findall(r"^    b['\"]", done.stdout, flags=re.MULTILINE)) <= 4


def test_the_written_test_runs_and_fails(sample: dict[Path, str], tmp_path: Path) -> None:
    """With a measure of the user's own, which the test imports too."""
    (tmp_path / "my_measures.py").write_text(PLANTED_MODULE, encoding="utf-8")
    planted = tmp_path / "planted.yaml"
    text = CLICKS.read_text(encoding="utf-8").replace("clicks.avsc", str(CLICKS.with_suffix(".avsc")))
    planted.write_text(text.replace("  clicks: count\n", "  newest: {latest: amount}\n"), encoding="utf-8")
    module, test = tmp_path / "my_measures.py", tmp_path / "test_found.py"
    done = verify(planted, sample[CLICKS], "--measures", module, "--write-test", test)
    assert done.exit_code == 1
    assert "measure newest (latest)" in done.stderr
    assert str(test) in done.stderr
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "1 failed" in ran.stdout
    assert "measure newest (latest)" in ran.stdout
    repaired = PLANTED_MODULE.replace(
        "np.arange(len(groups))", "np.arange(len(groups))[np.argsort(values.to_pylist())]"
    )
    module.write_text(repaired.replace("chosen[groups]", "chosen[groups[np.argsort(values.to_pylist())]]"))
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout


def test_the_time_limit_ends_it(sample: dict[Path, str]) -> None:
    done = verify(CLICKS, sample[CLICKS], "--examples", 1000, "--time", "1ms", "--max-events", 20)
    assert done.exit_code == 0, done.output
    assert "1 schedules of 1000, stopped by --time" in done.stdout


BAD = {
    "no such sample": (CLICKS, ["nowhere.jsonl"], "nowhere.jsonl: no such file or folder"),
    "an empty sample": (CLICKS, ["empty.jsonl"], "empty.jsonl: an empty file"),
    "only empty lines": (CLICKS, ["blank.jsonl"], "blank.jsonl: "),
    "nothing that decodes": (CLICKS, ["garbage.jsonl"], "none of 3 records can be decoded"),
    "an unknown format": (CLICKS, ["events.xml"], "events.xml: the ending isn't known"),
    "no such definition": ("nowhere.yaml", ["garbage.jsonl"], "nowhere.yaml: no such file"),
    "another definition's events": (FLIGHTS, ["clicks.jsonl"], "clicks.jsonl"),
    "a seed that is no number": (CLICKS, ["garbage.jsonl", "--seed", "x"], "--seed"),
    "a time without a unit": (CLICKS, ["garbage.jsonl", "--time", "soon"], "--time: "),
    "no events wanted": (CLICKS, ["garbage.jsonl", "--max-events", "0"], "--max-events"),
    "measures that aren't there": (CLICKS, ["garbage.jsonl", "--measures", "nowhere.py"], "nowhere.py can't be"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.usefixtures("sample")
def test_bad_input_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition, arguments, wanted = BAD[name]
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "blank.jsonl").write_bytes(b"\n\n")
    (tmp_path / "garbage.jsonl").write_bytes(b"{\nno\n[1]\n")
    (tmp_path / "events.xml").write_bytes(b"<a/>")
    monkeypatch.chdir(tmp_path)
    done = verify(definition, *arguments)
    assert done.exit_code == 2, done.output
    assert wanted in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""
