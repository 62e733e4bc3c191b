"""Results as files: what is in them, that they are created once, in each format and place."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest
from pyarrow import parquet
from servers.object_servers import server_of
from without_runner.result_stories import Event, Story, definition_of

from tandem.pipelines.delivery.encoding import Encoder
from tandem.pipelines.delivery.outputs import writer_of
from tandem.pipelines.delivery.result_files import FileWriter
from tandem.schemas.errors import DeliveryError
from tandem.storage.opening import objects_at
from tandem.storage.urls import location
from tandem.views.outbox.messages import DEAD

LISTED = "half: {quantiles: amount, at: [0.5]}, top: {top_k: user, k: 2}"
MEASURES = f"{{n: count, amount: {{sum: amount}}, {LISTED}, last: {{last: at}}}}"
Read = Callable[[bytes], list[dict[str, Any]]]

READERS: Mapping[str, Read] = {
    "json": lambda data: [json.loads(line) for line in data.decode().splitlines()],
    "avro": lambda data: [row for row in fastavro.reader(io.BytesIO(data)) if isinstance(row, dict)],
    "parquet": lambda data: parquet.read_table(io.BytesIO(data)).to_pylist(),
}
EXTENSION = {"json": "jsonl", "avro": "avro", "parquet": "parquet"}


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Callable[..., Story]]:
    stories: list[Story] = []

    def begin(output: str, measures: str = MEASURES) -> Story:
        compiled = definition_of(f"{{window: 1m, mode: retracting, to: {output}}}", measures=measures)
        story = Story(tmp_path / "v.db", compiled)
        story.deliverer._writers = {}
        story.serve()
        stories.append(story)
        return story

    yield begin
    for story in stories:
        story.close()


def tell(story: Story) -> None:
    """Two keys on time, and one of them late."""
    story.live(Event(0.1, amount=3), Event(0.2, user="bob"))
    story.watermark(1)
    story.deliverer.run_once()
    story.live(Event(0.3, amount=5))
    story.deliverer.run_once()


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row of any format as JSON has it."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return plain(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("form", READERS)
def test_what_is_in_them(told: Callable[..., Story], tmp_path: Path, form: str) -> None:
    story = told(f"{{files: '{tmp_path}/out', format: {form}}}")
    given: list[Any] = []
    writer = writer_of(story.compiled.definition.results["r"].to[0].label, story.compiled)

    class Twice:
        """As after a crash between sending and forgetting."""

        def send(self, messages: Sequence[Any]) -> Mapping[int, str]:
            given.extend(json.loads(message.payload) for message in messages)
            return {**writer.send(messages), **writer.send(messages)}

    story.deliverer._writers = {story.compiled.definition.results["r"].to[0].label: Twice()}
    tell(story)
    files = sorted(path for path in (tmp_path / "out").rglob("*.*") if path.is_file())
    assert [str(file.parent.relative_to(tmp_path)) for file in files] == ["out/visits/r/20260105T080000Z"] * 2
    assert {file.suffix for file in files} == {f".{EXTENSION[form]}"}
    rows = [plain(row) for file in files for row in READERS[form](file.read_bytes())]
    assert rows == given
    assert [row["replaces"] and row["replaces"]["revision"] for row in rows] == [None, None, 1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_in_a_bucket(
    told: Callable[..., Story], kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = server_of(kind, request, monkeypatch).place("results")
    story = told(f"{{files: '{place}', format: avro}}")
    tell(story)
    assert story.outbox() == []
    objects, where = objects_at(location(place)), location(place)
    found = [each.key for each in objects.walk(f"{where.key}/visits/")]
    rows = [row for key in sorted(found) for row in READERS["avro"](objects.get(key))]
    assert [(row["key"]["user"], row["revision"]) for row in rows] == [("ann", 1), ("bob", 1), ("ann", 2)]


@pytest.mark.parametrize("form", ["avro", "parquet"])
def test_a_sum_that_is_too_large_is_set_aside_by_name(told: Callable[..., Story], tmp_path: Path, form: str) -> None:
    story = told(f"{{files: '{tmp_path}/out', format: {form}}}", "{amount: {sum: amount}}")
    story.live(Event(0.1, amount=2**62), Event(0.1, amount=2**62), Event(0.2, user="bob"))
    story.watermark(1)
    story.deliverer.run_once()
    (row,) = story.outbox()
    told_why = "results.amount is 9223372036854775808, which doesn't fit int64; JSON Lines hold it"
    assert (row.state, row.error) == (DEAD, told_why)
    (file,) = (tmp_path / "out").rglob(f"*.{EXTENSION[form]}")
    assert [each["key"]["user"] for each in READERS[form](file.read_bytes())] == ["bob"]


def test_a_folder_that_takes_nothing_is_named(told: Callable[..., Story], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    story = told(f"{{files: '{tmp_path}/file'}}")
    story.live(Event(0.1))
    story.watermark(1)
    done = story.deliverer.run_once()
    assert done is not None
    assert str(tmp_path / "file") in done.failed[0]
    with pytest.raises(DeliveryError):
        FileWriter(str(tmp_path / "file" / "below"), Encoder("json", story.compiled)).send([])
