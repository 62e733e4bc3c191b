"""Outputs that take nothing in: named, waited for, nothing lost, and nothing else held up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from breaking.small_disks import mounted
from google.pubsub_v1.types import PublishRequest, PublishResponse
from without_runner.result_stories import Event, Story, definition_of

from tandem.views.results.listing import backlog

TOPIC = "projects/demo/topics/told"


class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A Pub/Sub whose topic refuses what is published, until it is let."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self.code: grpc.StatusCode | None = code
        self.published: list[dict[str, Any]] = []

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._publish)

    def _publish(self, request: bytes, context: Any) -> bytes:
        if self.code is not None:
            context.abort(self.code, "User not authorized to perform this action.")
        messages = PublishRequest.pb().FromString(request).messages
        self.published += [json.loads(message.data) for message in messages]
        data: bytes = PublishResponse.pb()(message_ids=[str(n) for n in range(len(messages))]).SerializeToString()
        return data


@contextmanager
def served(handler: Refusing) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Callable[[str], Story]]:
    stories: list[Story] = []

    def begin(outputs: str) -> Story:
        story = Story(tmp_path / "v.db", definition_of(f"{{window: 1m, to: {outputs}}}"))
        story.deliverer._writers = {"log": story.output}
        story.serve()
        stories.append(story)
        return story

    yield begin
    for story in stories:
        story.close()


def told_of(story: Story, output: str) -> dict[str, Any]:
    with story.store.database.read() as connection:
        found = backlog(connection, "visits")
    assert found is not None
    known: dict[str, Any] = found["outputs"][output]
    return known


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED], ids=str)
def test_a_topic_that_refuses_is_named_and_waited_for(
    told: Callable[[str], Story], code: grpc.StatusCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = Refusing(code)
    with served(handler) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        story = told(f"[log, {{pubsub: {TOPIC}}}]")
        story.live(Event(0.1), Event(0.2, user="bob"))
        story.watermark(1)
        done = story.deliverer.run_once()
        assert done is not None
        assert done.sent == 2, "the other output has them"
        assert done.failed == (
            f"pubsub {TOPIC}: topic {TOPIC}: {code.name}: User not authorized to perform this action.",
        )
        waits = told_of(story, f"pubsub {TOPIC}")
        assert (waits["waiting"], code.name in waits["error"]) == (2, True)
        handler.code = None
        story.wait(1)
        story.live(Event(0.3))
        done = story.deliverer.run_once()
        assert done is not None
        assert (done.sent, done.failed) == (4, ())
    order = [(message["key"]["user"], message["revision"]) for message in handler.published]
    assert sorted(order) == [("ann", 1), ("ann", 2), ("bob", 1)]
    assert order.index(("ann", 1)) < order.index(("ann", 2))
    assert told_of(story, f"pubsub {TOPIC}")["waiting"] == 0


@pytest.mark.parametrize("form", ["json", "avro", "parquet"])
def test_a_folder_that_is_full_is_named_and_waited_for(told: Callable[[str], Story], tmp_path: Path, form: str) -> None:
    try:
        with mounted(tmp_path / "small", 1) as disk:
            story = told(f"[log, {{files: '{disk.folder}/out', format: {form}}}]")
            disk.fill()
            story.live(Event(0.1), Event(0.2, user="bob"))
            story.watermark(1)
            done = story.deliverer.run_once()
            assert done is not None
            assert done.sent == 2, "the other output has them"
            assert "No space left on device" in done.failed[0]
            assert str(disk.folder) in done.failed[0]
            assert not list((disk.folder / "out").rglob("0*")), "no half of a file"
            disk.free()
            story.wait(1)
            done = story.deliverer.run_once()
            assert done is not None
            assert (done.sent, done.failed, story.outbox()) == (2, (), [])
            assert len([path for path in (disk.folder / "out").rglob("0*") if path.is_file()]) == 1
    except LookupError as why:
        pytest.skip(str(why))
