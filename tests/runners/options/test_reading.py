"""Command lines as they are read: values, defaults, what is left to Beam, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tandem.runners.options.beam import TandemOptions, beam_options
from tandem.runners.options.places import Home
from tandem.runners.options.reading import Arguments, read_arguments, wants_help
from tandem.schemas.errors import UserError


@pytest.mark.parametrize(
    ("command", "words", "values", "beam"),
    [
        pytest.param("backfill", [], {"files": [], "upto": None, "promote": False, "workers": 0}, (), id="defaults"),
        pytest.param("backfill", ["--files", "a", "--files=b"], {"files": ["a", "b"]}, (), id="repeated"),
        pytest.param("backfill", ["--no_publish", "--publish-wait=2"], {"publish_wait": 2_000_000}, (), id="spellings"),
        pytest.param(
            "backfill", ["--runner", "Direct", "--copies"], {"copies": True}, ("--runner", "Direct"), id="beam"
        ),
        pytest.param("backfill", ["--lanes=2"], {}, ("--lanes=2",), id="of-another-command"),
        pytest.param("live", ["--max-messages", "7", "--follow"], {"max_messages": 7, "follow": True}, (), id="live"),
        pytest.param("live", ["--accept", "x", "--accept=y"], {"accept": ["x", "y"]}, (), id="codes"),
        pytest.param("backfill", ["--accept-missing-files"], {"accept": []}, (), id="no-abbreviation"),
        pytest.param(
            "reconcile", ["a.yaml", "--dry-run"], {"definition": "a.yaml", "dry_run": True}, (), id="first-word"
        ),
        pytest.param("publish", ["--speed", "2.5"], {"speed": 2.5, "skip_bad": False}, (), id="number"),
    ],
)
def test_values(command: str, words: list[str], values: dict[str, Any], beam: tuple[str, ...]) -> None:
    read = read_arguments(command, words)
    assert {name: read[name] for name in values} == values
    assert read.beam == beam


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        pytest.param(
            "live", ["--lanes=x"], "argument --lanes: invalid int value: 'x'; see `tandem live --help`", id="int"
        ),
        pytest.param("publish", ["--speed", "x"], "argument --speed: invalid float value: 'x'", id="float"),
        pytest.param("backfill", ["--files"], "argument --files: expected one argument", id="no-value"),
        pytest.param(
            "live", ["--source", "kafka"], r"invalid choice: 'kafka' \(choose from 'journal', 'native'\)", id="choice"
        ),
        pytest.param("live", ["--until-idle", "soon"], "argument --until-idle/--until_idle: .*soon", id="duration"),
        pytest.param("backfill", ["--max-bad=200%"], "--max-bad/--max_bad: '200%' is neither a percentage", id="share"),
        pytest.param("backfill", ["--complete-until=x"], "'x' is not a time", id="time"),
        pytest.param("backfill", ["--max-piece-memory=1MB"], "^--max-piece-memory 1MB is too little", id="size"),
        pytest.param("live", ["--dry_run=perhaps"], "'perhaps' is neither true nor false", id="truth"),
    ],
)
def test_what_a_flag_does_not_take(command: str, words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_arguments(command, words)


def test_what_has_to_be_there() -> None:
    with pytest.raises(UserError) as refused:
        read_arguments("publish", ["--topic", "projects/p/topics/t"]).check_required()
    message = "the following arguments are required: --definition, --files; see `tandem publish --help`"
    assert str(refused.value) == message


def test_home_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_HOME", "/there")
    assert read_arguments("live", []).home.journal == "/there/journal"
    assert read_arguments("live", ["--home", "/here"]).home.journal == "/here/journal"


@pytest.mark.parametrize(("words", "asked"), [(["-h"], True), (["--a", "--help"], True), (["--helpful"], False)])
def test_help(words: list[str], asked: bool) -> None:
    assert wants_help(words) is asked


@pytest.mark.parametrize(
    ("flags", "journal", "store"),
    [
        pytest.param({"home": "/abs"}, "/abs/journal", "sqlite:////abs/views.db", id="home"),
        pytest.param({"home": "/abs", "journal": "/j"}, "/j", "sqlite:////abs/views.db", id="journal"),
        pytest.param({"home": "/abs", "store": "/v/f.db"}, "/abs/journal", "sqlite:////v/f.db", id="store-path"),
        pytest.param({"home": "/a", "store": "postgresql://u@h/d"}, "/a/journal", "postgresql://u@h/d", id="store-url"),
        pytest.param({"home": "gs://b/h", "store": "/f.db"}, "gs://b/h/journal", "sqlite:////f.db", id="url"),
    ],
)
def test_places(flags: dict[str, str], journal: str, store: str) -> None:
    home = Home.of(**flags)
    assert (home.journal, home.store) == (journal, store)
    assert Arguments.of("live", flags).home == home


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param({"home": "gs://b/h"}, "--home is a URL, where no view store can lie", id="no-store"),
        pytest.param({"home": "h", "store": "mysql://u@h/d"}, "--store: a view store is .* found mysql", id="kind"),
    ],
)
def test_places_that_cannot_be(flags: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Home.of(**flags)


def test_a_job_shows_what_it_was_given_but_no_secrets(tmp_path: Path) -> None:
    words = ["--definition", "a.yaml", "--definition=b.yaml", "--store", "postgresql://u:pa55w@h/d", "--promote"]
    options = beam_options(read_arguments("backfill", [*words, "--max-bad", "2%", "--project=p"]))
    shown = options.view_as(TandemOptions)
    assert (shown.definition, shown.promote, shown.max_bad, shown.files) == (["a.yaml", "b.yaml"], True, "2%", None)
    assert "pa55w" not in str(options.get_all_options())


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        pytest.param(["--lanes=2"], "--lanes=2", id="of-another-command"),
        pytest.param(["--chekpoints"], "--chekpoints", id="typing-error"),
    ],
)
def test_what_nobody_knows_is_refused(words: list[str], unknown: str) -> None:
    with pytest.raises(UserError, match=f"unknown flag '{unknown}'; neither Tandem nor Beam has it"):
        beam_options(read_arguments("backfill", words))


def test_files_of_a_pattern_that_the_shell_has_opened_are_refused_as_such() -> None:
    words = ["--files", "day/1.jsonl", "day/2.jsonl", "day/3.jsonl"]
    with pytest.raises(UserError, match=r"'day/2.jsonl' follows no flag; .*quotes, --files 'day/\*.jsonl'"):
        beam_options(read_arguments("backfill", words))


@pytest.mark.parametrize(
    ("command", "words", "refused"),
    [
        pytest.param(
            "backfill",
            ["--files", "1.jsonl", "2.jsonl", "--object_reuse"],
            r"'2.jsonl' follows no flag; .*--files '\*.jsonl'",
            id="files-first",
        ),
        pytest.param(
            "backfill",
            ["--object_reuse", "--files=1.jsonl", "2.jsonl"],
            "'2.jsonl' follows no flag; put a pattern",
            id="files-behind-a-flag-of-the-runner",
        ),
        pytest.param(
            "windowed", ["--files", "1.csv", "2.csv", "3.csv"], "'2.csv' follows no flag; put a pattern", id="windowed"
        ),
        pytest.param(
            "live",
            ["--definition", "a.yaml", "b.yaml"],
            "'b.yaml' follows no flag; --definition stands before each",
            id="definitions",
        ),
        pytest.param(
            "publish",
            ["--definition", "a.yaml", "b.yaml"],
            "'b.yaml' follows no flag; one definition",
            id="one-definition",
        ),
        pytest.param("live", ["word"], "'word' follows no flag that takes it$", id="word"),
    ],
)
@pytest.mark.parametrize("runner", [(), ("--runner=FlinkRunner",)], ids=["here", "portable"])
def test_a_file_is_never_taken_for_a_flag_of_the_runner(
    command: str, words: list[str], refused: str, runner: tuple[str, ...]
) -> None:
    """A portable runner has flags of its own, and their values: an opened pattern would have been read in part."""
    if not runner:
        words = [word for word in words if word != "--object_reuse"]
    with pytest.raises(UserError, match=refused):
        beam_options(read_arguments(command, [*runner, *words]))


def test_values_of_flags_that_only_the_runner_knows_stand_alone() -> None:
    words = ["--runner=FlinkRunner", "--files=1.jsonl", "--max_bundle_size", "100000", "--object_reuse"]
    assert beam_options(read_arguments("backfill", words)) is not None


def test_a_word_without_a_flag_is_refused() -> None:
    with pytest.raises(UserError, match=r"'word' follows no flag that takes it$"):
        beam_options(read_arguments("live", ["word"]))


def test_a_portable_runner_may_know_it() -> None:
    assert beam_options(read_arguments("backfill", ["--runner=FlinkRunner", "--object_reuse"])) is not None
