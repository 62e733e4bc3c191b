"""A publisher that sends prepared requests of 1,000 clicks at a set rate; it takes little of the machine.

Requests are serialized once. Before one is sent, its event ids are made new (the request's number), its event times are
moved to now less each event's own delay, and users are drawn anew where they are the key: by writing digits over
digits. 2 % of the messages are sent again, byte for byte, 10 s later. The events of each tile and key are counted
without copies; answers are compared with these counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.inputs.clicks import Shape, avro_messages, clicks, json_messages

__all__ = ["BATCH", "CopyQueue", "Request", "prepare", "run"]

BATCH: Final = 1_000
"""Messages in a request."""
TILE: Final = 60_000_000
COPIES: Final = 0.02
COPY_DELAY: Final = 10.0
FIRST_USER: Final = 1_100_000
"""The least number of a user that is drawn: all numbers have the same length, in JSON and in Avro."""
USERS: Final = 1_000_000
_PUBLISH: Final = "/google.pubsub.v1.Publisher/Publish"
_TEN: Final = 10 ** np.arange(15, -1, -1, dtype=np.int64)
_TEN_7: Final = 10 ** np.arange(6, -1, -1, dtype=np.int64)

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]


@dataclass
class Request:
    """One serialized PublishRequest, and the positions of its changing bytes."""

    data: Bytes
    bounds: Longs
    """The start of each message's field, and the end."""
    ids: Longs
    """(BATCH, 8) positions of the last eight digits of the ids."""
    times: Longs
    """(BATCH, 16 digits or 8 bytes) positions of the event times."""
    users: Longs | None
    """(BATCH, 7 digits or 4 bytes) positions of the users, where they are drawn."""
    delays: Longs
    """The delay of each event in microseconds."""
    keys: Longs
    """Number of each event's key: page, or user."""
    form: str

    def renew(self, number: int, now: int, random: np.random.Generator) -> Longs:
        """Change it to the request of this number, sent now (microseconds UTC); returns the event times."""
        self.data[self.ids] = np.frombuffer(b"%08x" % number, np.uint8)
        times = now - self.delays
        self.data[self.times] = digits(times, _TEN) if self.form == "json" else varints(times, self.times.shape[1])
        if self.users is not None:
            self.keys = random.integers(0, USERS, len(times))
            users = self.keys + FIRST_USER
            self.data[self.users] = digits(users, _TEN_7) if self.form == "json" else varints(users, 4)
        return times

    def message(self, row: int) -> bytes:
        """The field of one message in the request's current bytes."""
        return self.data[self.bounds[row] : self.bounds[row + 1]].tobytes()


def digits(values: Longs, powers: Longs) -> Bytes:
    """The decimal digits of numbers that all have the same number of digits."""
    return (values[:, None] // powers % 10 + 48).astype(np.uint8)


def varints(values: Longs, size: int) -> Bytes:
    """Avro's encoding of longs that take exactly `size` bytes."""
    parts = ((values << 1)[:, None] >> np.arange(0, 7 * size, 7)) & 0x7F
    parts[:, :-1] |= 0x80
    return parts.astype(np.uint8)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def prepare(topic: str, form: str, key: str, count: int, seed: int = 1) -> list[Request]:
    """`count` requests of clicks; `key` "page" or "user_id"."""
    shape = Shape(count * BATCH, seed=seed)
    return [_prepare(topic, form, key, shape, number) for number in range(count)]


def _prepare(topic: str, form: str, key: str, shape: Shape, number: int) -> Request:
    events = clicks(shape, number * BATCH, BATCH)
    drawn = key == "user_id"
    if drawn:
        users = pa.array(np.full(BATCH, FIRST_USER, np.int64))
        events = events.set_column(events.schema.get_field_index("user_id"), "user_id", users)
    payloads = json_messages(events) if form == "json" else avro_messages(events)
    parts = [b"\x0a" + _varint(len(topic)) + topic.encode()]
    starts, bounds, at = [], [len(parts[0])], len(parts[0])
    for payload in payloads:
        inner = b"\x0a" + _varint(len(payload)) + payload
        field = b"\x12" + _varint(len(inner)) + inner
        starts.append(at + len(field) - len(payload))
        at += len(field)
        bounds.append(at)
        parts.append(field)
    begin = np.array(starts, np.int64)[:, None]
    # {"event_id":"0123456789abcdef","event_time":1767225600000000,"user_id":...; in Avro a length, the id, the time
    id_at, time_at, size, user_at, user_size = (13, 44, 16, 71, 7) if form == "json" else (1, 17, 8, 25, 4)
    pages = np.array([int(page[6:]) for page in events.column("page").to_pylist()], np.int64)
    random = np.random.default_rng([shape.seed, number, 3])
    return Request(
        np.frombuffer(b"".join(parts), np.uint8).copy(),
        np.array(bounds, np.int64),
        begin + id_at + np.arange(8, 16),
        begin + time_at + np.arange(size),
        begin + user_at + np.arange(user_size) if drawn else None,
        random.integers(0, 60_000_000, BATCH),
        pages,
        form,
    )


class CopyQueue:
    """Messages that are due to be sent again, in requests of BATCH."""

    def __init__(self, topic: str, delay: float = COPY_DELAY) -> None:
        self._head = b"\x0a" + _varint(len(topic)) + topic.encode()
        self._delay = delay
        self._waiting: deque[tuple[float, bytes]] = deque()

    def add(self, request: Request, now: float) -> None:
        """Remember 2 % of a request that is sent now."""
        for row in range(0, BATCH, round(1 / COPIES)):
            self._waiting.append((now + self._delay, request.message(row)))

    def due(self, now: float) -> bytes | None:
        """A request of copies, once enough of them are due."""
        if len(self._waiting) < BATCH or self._waiting[BATCH - 1][0] > now:
            return None
        return self._head + b"".join(self._waiting.popleft()[1] for _ in range(BATCH))


class Counted:
    """Events sent, by tile and key."""

    def __init__(self, keys: int, begun: int) -> None:
        self._first = (begun - 2 * TILE) // TILE
        self._counts = np.zeros((0, keys), np.int32)

    def add(self, times: Longs, keys: Longs) -> None:
        """Count the events of one request."""
        tiles = times // TILE - self._first
        while len(self._counts) <= tiles.max():
            self._counts = np.concatenate([self._counts, np.zeros((1, self._counts.shape[1]), np.int32)])
        np.add.at(self._counts, (tiles, keys), 1)

    def save(self, path: Path) -> None:
        """Write tile starts and counts as a NumPy archive."""
        starts = (np.arange(len(self._counts)) + self._first) * TILE
        np.savez(path, starts=starts, counts=self._counts)


def run(options: argparse.Namespace) -> None:
    """Send until the time is over; the file options.progress holds two int64: messages sent, and copies among them."""
    requests = prepare(options.topic, options.form, options.key, options.requests)
    progress = np.memmap(options.progress, np.int64, "w+", shape=(4,))
    channel = grpc.insecure_channel(options.address, options=[("grpc.max_send_message_length", -1)])
    publish: Any = channel.unary_unary(_PUBLISH)
    copies, random = CopyQueue(options.topic), np.random.default_rng(1)
    counted = Counted(USERS if options.key == "user_id" else 1_000, time.time_ns() // 1_000)
    print("ready", flush=True)
    begun, sent, number, behind = time.monotonic(), 0, 0, 0.0
    while (now := time.monotonic() - begun) < options.seconds and (not options.events or sent < options.events):
        if (ahead := sent / options.rate - now) > 0:
            time.sleep(min(ahead, 0.05))
            continue
        behind = max(behind, -ahead)
        again = copies.due(now)
        if again is not None:
            publish(again)
            progress[1] += BATCH
        else:
            request = requests[number % len(requests)]
            times = request.renew(number, time.time_ns() // 1_000, random)
            publish(request.data.tobytes())
            counted.add(times, request.keys)
            copies.add(request, now)
            number += 1
        sent += BATCH
        progress[0] = sent
    progress.flush()
    counted.save(Path(options.counts))
    said = {"sent": sent, "copies": int(progress[1]), "seconds": time.monotonic() - begun, "behind_s": behind}
    print(json.dumps(said), flush=True)


def main() -> None:
    """Run the publisher process of benchmarks.live."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("address", "topic", "progress", "counts"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--form", choices=("json", "avro"), default="json")
    parser.add_argument("--key", choices=("page", "user_id"), default="page")
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--requests", type=int, default=200)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
