"""`tandem deadletters` over a store, letters' files and the embedded Pub/Sub, without a live run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud.pubsub_v1 import SubscriberClient
from processes.emulated import make

from tandem.emulator.server import EmbeddedPubSub
from tandem.formats.dead_letters.files import encode, letters_name
from tandem.journal.clocks import ManualClock
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.schemas.messages import DeadLetter
from tandem.views.dead_letters.facts import LetterNote

TOPIC, SUBSCRIPTION = "projects/demo/topics/orders", "projects/demo/subscriptions/orders"
RUN = "000001-ab12"
LANE = f"{RUN}/0000"
NOON = 1_767_571_200_000_000 + 12 * 3_600_000_000
GOOD = json.dumps({"id": "9", "at": NOON, "shop": "oak", "currency": "EUR", "amount": 1.0}).encode()
LETTERS = (
    DeadLetter(b"\xff\x00not text", "not JSON: byte 0", "decode", 1, "m1", NOON, {"k": "v"}),
    DeadLetter(GOOD, "schema revision 0badcafe is not known", "decode", 2, "m2", NOON + 60_000_000, {}),
    DeadLetter(b'{"id": null}', "event id: 'id' is null", "validate", 4, "m3", NOON + 120_000_000, {}),
)


@pytest.fixture
def dead(served: Any) -> Any:
    """Segment 4 of the served run's journal held three dead letters."""
    served.store.live.start(served.version, RUN)
    segment = served.Segment(LANE, 4, 4, 3, 0, 0, 3)
    object.__setattr__(segment, "dead_rows", (1, 2, 4))
    served.store.live.write_segments(served.version, RUN, [segment])
    path = served.home / "deadletters" / served.version / f"{letters_name(LANE, 4)}.avro"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(LETTERS, f"{LANE}/4", written_at=NOON + 1, version=served.version))
    start_run(
        LocalBlobs(served.home / "journal"), ManualClock(), lanes=1, subscription=SUBSCRIPTION, nonce=lambda: "ab12"
    )
    return served


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with EmbeddedPubSub() as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        make(TOPIC, SUBSCRIPTION)
        yield


def listed(home: Any, *flags: str) -> list[dict[str, Any]]:
    shown = home.run("deadletters", "list", "orders", "--json", *flags)
    assert shown.exit_code == 0, shown.stderr
    letters: list[dict[str, Any]] = json.loads(shown.stdout)["letters"]
    return letters


def rows(home: Any, *flags: str) -> dict[int, str]:
    return {letter["row"]: letter["status"] for letter in listed(home, *flags)}


def pulled() -> list[tuple[bytes, dict[str, str]]]:
    with SubscriberClient() as client:
        found = client.pull(subscription=SUBSCRIPTION, max_messages=100, return_immediately=True).received_messages
        if found:
            client.acknowledge(subscription=SUBSCRIPTION, ack_ids=[item.ack_id for item in found])
    messages = [(item.message.data, dict(item.message.attributes)) for item in found]
    return sorted(messages, key=lambda message: (message[0], sorted(message[1].items())))


def open_letters(home: Any) -> int:
    return int(json.loads(home.run("status", "orders", "--json").stdout)["dead_letters"].get("open", 0))


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        pytest.param((), [1, 2, 4], id="all"),
        pytest.param(("--reason", "NOT JSON"), [1], id="reason"),
        pytest.param(("--stage", "validate"), [4], id="stage"),
        pytest.param(("--position", RUN), [1, 2, 4], id="run"),
        pytest.param(("--lane", LANE), [1, 2, 4], id="lane"),
        pytest.param(("--position", f"{RUN}/00"), [], id="half-a-lane"),
        pytest.param(("--since", "2026-01-05T12:01"), [2, 4], id="since"),
        pytest.param(("--until", "2026-01-05T12:01"), [1], id="until"),
        pytest.param(("--status", "dropped"), [], id="status"),
        pytest.param(("--limit", "2"), [1, 2], id="limit"),
        pytest.param((f"{LANE}/4#2",), [2], id="letter"),
        pytest.param((f"{LANE}/4", "--stage", "decode"), [1, 2], id="position-and-stage"),
    ],
)
def test_filters(flags: tuple[str, ...], wanted: list[int], dead: Any) -> None:
    assert sorted(rows(dead, *flags)) == wanted


def test_the_list_for_people(dead: Any) -> None:
    shown = dead.run("deadletters", "list", str(dead.file), "--limit", "2")
    assert shown.exit_code == 0, shown.stderr
    assert f"{LANE}/4#1" in shown.stdout
    assert shown.stdout.endswith(f"orders, version {dead.version}: 3 open; 1 more with --limit\n")


def test_one_letter_with_all_that_is_known(dead: Any) -> None:
    one = json.loads(dead.run("deadletters", "show", "orders", f"{LANE}/4#1", "--json").stdout)
    assert (one["payload_hex"], one["payload_text"], one["bytes"]) == (LETTERS[0].payload.hex(), None, 10)
    assert (one["publish_time"], one["attributes"], one["tries"]) == ("2026-01-05T12:00:00Z", {"k": "v"}, 1)
    assert one["history"] == [{"at": "2026-01-05T12:00:00.000001Z", "event": "failed in decode: not JSON: byte 0"}]
    shown = dead.run("deadletters", "show", "orders", f"{LANE}/4#4").stdout
    for part in ("event id: 'id' is null", "payload, hex", '{"id": null}', "history", "2026-01-05T12:02:00Z"):
        assert part in shown
    raw = dead.run("deadletters", "show", "orders", f"{LANE}/4#1", "--raw")
    assert raw.stdout_bytes == LETTERS[0].payload


def test_dropped_letters_no_longer_make_answers_partial(dead: Any) -> None:
    planned = dead.run("deadletters", "drop", "orders", "--stage", "decode", "--dry-run")
    assert planned.stdout.endswith("orders: 2 dead letters would be dropped\n")
    assert open_letters(dead) == 3
    asked = dead.run("deadletters", "drop", "orders", "--stage", "decode")
    assert (asked.exit_code, asked.stderr.count("\n")) == (2, 1)
    assert open_letters(dead) == 3
    done = dead.run("deadletters", "drop", "orders", "--stage", "decode", "--note", "spam")
    assert (done.exit_code, done.stdout) == (0, "orders: dropped 2 dead letters\n")
    assert (open_letters(dead), rows(dead)) == (1, {1: "dropped", 2: "dropped", 4: "open"})
    assert dead.run("deadletters", "drop", "orders", "--yes").stdout == "orders: dropped 1 dead letter\n"
    assert dead.run("deadletters", "drop", "orders", "--yes").stdout == "orders: dropped 0 dead letters\n"
    one = json.loads(dead.run("deadletters", "show", "orders", f"{LANE}/4#1", "--json").stdout)
    assert one["history"][-1]["event"] == "dropped by hand: spam"


def test_a_replay_publishes_each_letter_once(dead: Any, pubsub: None) -> None:
    tried = dead.run("deadletters", "replay", "orders", "--dry-run")
    assert tried.exit_code == 0, tried.stderr
    assert f"version {dead.version}: 1 of 3 dead letters can be read now" in tried.stderr
    assert pulled() == []
    sent = dead.run("deadletters", "replay", "orders")
    assert sent.exit_code == 0, sent.stderr
    assert sent.stdout == f"orders: published 3 dead letters to {TOPIC}; a live run takes them in\n"
    messages = pulled()
    assert [data for data, _ in messages] == sorted(letter.payload for letter in LETTERS)
    first = {"k": "v", "tandem-replay-of": f"{LANE}/4#1", "tandem-replay-from": f"4@{NOON}", "tandem-attempt": "1"}
    assert (LETTERS[0].payload, first) in messages
    again = dead.run("deadletters", "replay", "orders")
    assert again.stdout == "orders: nothing to replay\n"
    assert "3 dead letters in flight" in again.stderr
    assert pulled() == []
    assert (set(rows(dead).values()), open_letters(dead)) == ({"in flight"}, 3)


def test_a_replay_that_died_before_it_published_sends_nothing_twice(
    dead: Any, pubsub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("tandem.pipelines.replay._publish", die)
        assert dead.run("deadletters", "replay", "orders").exit_code == 1
    assert dead.run("deadletters", "replay", "orders").stdout == "orders: nothing to replay\n"
    assert pulled() == []
    assert dead.run("deadletters", "replay", "orders", "--again").exit_code == 0
    assert [attributes["tandem-attempt"] for _, attributes in pulled()] == ["2", "2", "2"]


def test_only_what_can_be_read_now(dead: Any, pubsub: None) -> None:
    assert dead.run("deadletters", "replay", "orders", "--only-readable").exit_code == 0
    assert [data for data, _ in pulled()] == [GOOD]
    assert rows(dead) == {1: "open", 2: "in flight", 4: "open"}


def test_a_newer_definition_reads_the_letters_of_an_older_version(dead: Any, pubsub: None) -> None:
    newer = dead.file.with_name("newer.yaml")
    newer.write_text(dead.text.replace("lateness: 1h", "lateness: 2h"), encoding="utf-8")
    tried = dead.run("deadletters", "replay", str(newer), "--from-version", dead.version, "--dry-run")
    assert tried.exit_code == 0, tried.stderr
    assert "1 of 3 dead letters can be read now" in tried.stderr
    assert f"version {dead.version}:" not in tried.stderr
    wrong = dead.run("deadletters", "replay", str(newer), "--from-version", "f00", "--dry-run")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
    assert f"there are {dead.version}" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(("list", "nobody"), "no definition named 'nobody'", id="unknown-name"),
        pytest.param(("list", "orders", "--status", "lost"), "there are open, replayed, dropped, all", id="status"),
        pytest.param(("list", "orders", "--since", "noon"), "--since 'noon' is not a time", id="time"),
        pytest.param(("list", "orders", "--since", "2026-01-06", "--until", "2026-01-05"), "isn't before", id="span"),
        pytest.param(("list", "orders", "--limit", "0"), "--limit", id="limit"),
        pytest.param(("show", "orders", f"{LANE}/4"), "3 dead letters are at", id="several"),
        pytest.param(("show", "orders", f"{LANE}/4#3"), "there is no dead letter", id="none"),
        pytest.param(("show", "orders", f"{LANE}/4#x"), "write POSITION#ROW", id="no-row"),
        pytest.param(("show", "orders", f"{LANE}/4#{'9' * 5_000}"), "write POSITION#ROW", id="too-many-digits"),
        pytest.param(("drop", "orders", "--yes", f"{LANE}/5"), "there is no dead letter", id="drop-none"),
        pytest.param(("replay", "orders", "--topic", "projects/demo/topics/nowhere"), "nowhere", id="no-topic"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(
    arguments: tuple[str, ...], problem: str, dead: Any, pubsub: None
) -> None:
    shown = dead.run("deadletters", *arguments)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert problem in shown.stderr.splitlines()[-1]
    assert "Traceback" not in shown.stderr
    assert rows(dead) == {1: "open", 2: "open", 4: "open"}


def test_where_copies_count_nothing_is_sent_again(dead: Any, pubsub: None, tmp_path: Path) -> None:
    file = tmp_path / "copies.yaml"
    file.write_text(dead.text + "deduplicate: false\n", encoding="utf-8")
    shown = dead.run("deadletters", "replay", str(file), "--again")
    assert (shown.exit_code, "would count twice" in shown.stderr) == (2, True)


def test_letters_whose_file_is_damaged_or_gone_are_listed_all_the_same(dead: Any, pubsub: None) -> None:
    (path,) = (dead.home / "deadletters").rglob("*.avro")
    path.write_bytes(path.read_bytes()[:-1])
    assert {letter["row"]: "cut short" in letter["problem"] for letter in listed(dead)} == {1: True, 2: True, 4: True}
    path.unlink()
    shown = dead.run("deadletters", "replay", "orders")
    assert (shown.exit_code, shown.stdout) == (0, "orders: nothing to replay\n")
    assert shown.stderr.count("can't be replayed: no file below") == 3
    assert dead.run("deadletters", "show", "orders", f"{LANE}/4#1", "--raw").exit_code == 2


def test_a_letter_that_failed_again_shows_its_history(dead: Any, pubsub: None) -> None:
    dead.run("deadletters", "replay", "orders", "--stage", "validate")
    segment = dead.Segment(LANE, 5, 5, 1, 0, 0, 1)
    object.__setattr__(segment, "dead_rows", (0,))
    from tandem.transforms.elements import ReplayOutcome

    fate = ReplayOutcome(0, f"{LANE}/4", 4, 1, False, "validate", "still null")
    object.__setattr__(segment, "replays", (fate,))
    dead.store.live.write_segments(dead.version, RUN, [segment])
    assert open_letters(dead) == 3
    (letter,) = listed(dead, "--stage", "validate")
    assert (letter["status"], letter["tries"], letter["reason"]) == ("open", 2, "still null")
    one = json.loads(dead.run("deadletters", "show", "orders", f"{LANE}/4#4", "--json").stdout)
    assert len(one["history"]) == 3
    assert f"replay 1, at {LANE}/5#0, live: failed again in validate: still null" in [
        h["event"] for h in one["history"]
    ]
    assert dead.run("deadletters", "replay", "orders", "--stage", "validate").exit_code == 0
    assert sorted(attributes["tandem-attempt"] for _, attributes in pulled()) == ["1", "2"]


def test_notes_of_a_batch_run_are_shown_as_batch(dead: Any) -> None:
    note = LetterNote(f"{LANE}/4", 4, [1, 2, 4])
    dead.store.batch.start(dead.version, "b-9", boundary=4, parent="b-1")
    dead.store.dead_letters.note(dead.version, "b-9", [note])
    assert rows(dead) == {1: "open", 2: "open", 4: "open"}
