"""Which files patterns name: each once, whichever way leads to it and whatever signs its name has."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tandem.formats.files.listing import file_at, real_path
from tandem.formats.files.pieces import open_file
from tandem.formats.files.reading import expand
from tandem.schemas.errors import SourceFileError

LINE = b'{"id": 1}\n'


def written(path: Path, content: bytes = LINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def paths(*patterns: object) -> list[str]:
    return [ref.path for ref in expand([str(pattern) for pattern in patterns])]


SPELLINGS: dict[str, Callable[[Path], str]] = {
    "absolute": str,
    "relative": os.path.relpath,
    "dot": lambda path: f"./{os.path.relpath(path)}",
    "dots": lambda path: f"{path.parent}/../{path.parent.name}/{path.name}",
    "slashes": lambda path: f"{path.parent}//{path.name}",
    "uri": lambda path: path.as_uri(),
    "uri with its signs written out": lambda path: f"file://{quote(str(path), safe='/')}",
    "glob": lambda path: f"{path.parent}/*.jsonl",
    "another glob": lambda path: f"{path.parent.parent}/*/?.js*",
    "folder": lambda path: str(path.parent),
    "folder with a slash": lambda path: f"{path.parent}/",
    "link to the file": lambda path: str(path.parent.parent / "link.jsonl"),
    "link to the folder": lambda path: str(path.parent.parent / "linked" / path.name),
}


@settings(derandomize=True, max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(SPELLINGS)), min_size=1, max_size=4))
def test_a_file_is_one_file_however_it_is_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spellings: list[str]
) -> None:
    path = written(tmp_path / "in" / "a.jsonl")
    if not (tmp_path / "link.jsonl").exists():
        (tmp_path / "link.jsonl").symlink_to(path)
        (tmp_path / "linked").symlink_to(path.parent, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    assert paths(*(SPELLINGS[name](path) for name in spellings)) == [str(path)]


NAMES = [
    pytest.param("a[1].jsonl", id="brackets"),
    pytest.param("what?.jsonl", id="question-mark"),
    pytest.param("all*.jsonl", id="star"),
    pytest.param("two words.jsonl", id="blank"),
    pytest.param("100%25.jsonl", id="percent"),
    pytest.param("a#b.jsonl", id="hash"),
    pytest.param("caf\u00e9.jsonl", id="composed"),
    pytest.param("cafe\u0301.jsonl", id="decomposed"),
    pytest.param("\U0001f600.jsonl", id="emoji"),
    pytest.param("tab\there.jsonl", id="tab"),
    pytest.param("line\nend.jsonl", id="line-end"),
    pytest.param("-x.jsonl", id="dash"),
    pytest.param(os.fsdecode(b"\xff\xe4.jsonl"), id="not-utf-8"),
    pytest.param("A.JSONL", id="capitals"),
]


@pytest.mark.parametrize("name", NAMES)
def test_files_of_any_name_are_found_and_read(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "in" / name)
    other = written(tmp_path / "in" / "other.csv", b"id\n2\n")
    (ref,) = expand([str(path)])
    ref.path.encode()
    assert [ref.path] == paths(path, path)
    assert {ref.path, str(other)} == set(paths(path.parent)) == set(paths(f"{tmp_path}/*"))
    with open_file(ref) as file:
        assert file.read() == LINE
    assert file_at(ref.path) == ref
    assert real_path(ref.path) == ref.path


@pytest.mark.parametrize(("on_disk", "typed"), [("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "cafe\u0301")])
def test_normal_forms_of_unicode_name_the_same_file(tmp_path: Path, on_disk: str, typed: str) -> None:
    path = written(tmp_path / on_disk / f"{on_disk}.jsonl")
    assert paths(tmp_path / typed / f"{typed}.jsonl") == [str(path)]
    assert paths(f"{tmp_path}/{typed}/{typed[:3]}*") == [str(path)]


def test_what_is_there_under_its_own_name_is_no_glob(tmp_path: Path) -> None:
    literal = written(tmp_path / "a[12].jsonl")
    matched = written(tmp_path / "b1.jsonl")
    written(tmp_path / "a1.jsonl")
    assert paths(literal, f"{tmp_path}/b[12].jsonl") == [str(literal), str(matched)]
    inside = written(tmp_path / "data[old]" / "x.jsonl")
    assert paths(inside.parent) == paths(f"{inside.parent}/x.jsonl") == [str(inside)]


def test_a_link_whose_target_says_less_keeps_its_name(tmp_path: Path) -> None:
    """As content-addressed stores have it: the target's name is a digest."""
    written(tmp_path / "blobs" / "1f2e3d")
    (tmp_path / "day=5").mkdir()
    for name in ("a.jsonl", "day=5/b.jsonl"):
        (tmp_path / name).symlink_to(tmp_path / "blobs" / "1f2e3d")
    (tmp_path / "day=6").symlink_to(tmp_path / "day=5")
    wanted = [tmp_path / "a.jsonl", tmp_path / "day=5" / "b.jsonl", tmp_path / "day=6" / "b.jsonl"]
    assert paths(*wanted) == sorted(map(str, wanted))


def test_an_empty_file_is_passed_by_with_a_note_unless_it_is_named(tmp_path: Path) -> None:
    empty, full = written(tmp_path / "empty.csv", b""), written(tmp_path / "full.jsonl")
    for pattern in (str(tmp_path), f"{tmp_path}/*"):
        notes: list[str] = []
        assert [ref.path for ref in expand([pattern], note=notes.append)] == [str(full)]
        assert notes == [f"{empty}: passed by: an empty file"]
    with pytest.raises(SourceFileError, match=r"empty\.csv: an empty file"):
        expand([str(tmp_path), str(empty)])


def test_a_folder_has_its_files_and_those_of_its_partitions(tmp_path: Path) -> None:
    wanted = [
        written(tmp_path / "top.jsonl"),
        written(tmp_path / "country=DE" / "day=2026-01-05" / "x.jsonl"),
        written(tmp_path / "country=DE" / "day=2026-01-06" / "x.jsonl"),
    ]
    for other in ("old/x.jsonl", "country=DE/_temporary/x.jsonl", "_SUCCESS", ".hidden.jsonl", "country=DE/.x.crc"):
        written(tmp_path / other)
    assert paths(tmp_path) == sorted(map(str, wanted))


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    path = written(tmp_path / "in" / "a.jsonl")
    (tmp_path / "in" / "again").symlink_to(tmp_path)
    assert paths(f"{tmp_path}/*.jsonl") == [str(path)]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        pytest.param("none[1].jsonl", "no file matches", id="brackets-without-match"),
        pytest.param("deep", r"holds no files; for those of its folders write '.*deep/\*'", id="folders-in-a-folder"),
        pytest.param("pipe.jsonl", "neither a file nor a folder", id="fifo"),
        pytest.param("dangling.jsonl", "no such file", id="link-to-nothing"),
        pytest.param("nul\0.jsonl", "no such file", id="nul"),
        pytest.param(f"{'x' * 300}.jsonl", "no such file|too long", id="too-long"),
        pytest.param(os.fsdecode(b"\xff.jsonl"), "no such file", id="not-utf-8"),
        pytest.param("secret.xlsx", "the ending isn't known; allowed are .avro, .parquet, .jsonl", id="ending"),
    ],
)
def test_names_of_nothing_are_refused_in_one_line(tmp_path: Path, pattern: str, problem: str) -> None:
    written(tmp_path / "deep" / "inner" / "x.jsonl")
    written(tmp_path / "secret.xlsx")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "dangling.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(SourceFileError, match=problem) as error:
        expand([f"{tmp_path}/{pattern}"])
    assert "\n" not in str(error.value)
