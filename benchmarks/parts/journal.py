"""How fast the journal is written and read, on one core: `python -m benchmarks.parts.journal`.

Messages are those of `inputs.clicks`, as the embedded Pub/Sub sends them: serialized pull responses of 1,000, made
before the clock runs. Writing is all that a lane does with them but asking and acknowledging: take the responses apart,
encode a segment, flush it to disk. What waits for the disk is measured apart. Reading is what a backfill does: load a
segment, check it, and its messages as columns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from typing import Final

from google.pubsub_v1.types import PubsubMessage

from benchmarks.inputs.clicks import Shape, avro_messages, clicks, json_messages
from benchmarks.measuring.results import Row, record
from tandem.emulator.rpc.wire import frames_of, received_messages
from tandem.emulator.state.leases import AckIdPrefixes
from tandem.journal.broker.pull_responses import messages_of, split_response
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import segment_path
from tandem.journal.storage.segments import SegmentHeader, encode_segment, load_segment

__all__ = ["Flushed", "measure"]

RUN: Final = "000001-benchmark"
FORMS: Final = {"json": json_messages, "avro": avro_messages}
SUBSCRIPTION: Final = "projects/benchmark/subscriptions/clicks"


class Flushed(LocalBlobs):
    """A local journal that measures the time that its writes wait for the disk, and their processor time."""

    seconds: float = 0.0
    cpu: float = 0.0

    def create(self, path: str, data: bytes) -> None:
        """See LocalBlobs."""
        begun, used = time.perf_counter(), time.process_time()
        super().create(path, data)
        self.seconds += time.perf_counter() - begun
        self.cpu += time.process_time() - used


def responses(form: str, messages: int, users: int = 100_000) -> list[bytes]:
    """Serialized pull responses of 1,000 messages each."""
    shape, prefixes, made = Shape(messages, users=users), iter(AckIdPrefixes(1)), list[bytes]()
    for first in range(0, messages, 1_000):
        payloads = FORMS[form](clicks(shape, first, 1_000))
        raw = [PubsubMessage.pb()(data=payload).SerializeToString() for payload in payloads]
        made.append(received_messages(next(prefixes), frames_of(raw, 10**15 + first, time.time_ns())))
    return made


def measure(form: str, made: Sequence[bytes], per_segment: int) -> dict[str, float]:
    """Write and read all of it once, in segments of `per_segment` responses."""
    count = 0
    with tempfile.TemporaryDirectory(prefix="tandem-journal-") as folder:
        blobs = Flushed(folder)
        begun, cpu = time.perf_counter(), time.process_time()
        for number, first in enumerate(range(0, len(made), per_segment), 1):
            frames = [frame for data in made[first : first + per_segment] for frame in split_response(data)]
            messages, _ = messages_of(frames)
            header = SegmentHeader(RUN, 0, number, 1, "nonce", watermarks={"clicks": number}, subscription=SUBSCRIPTION)
            blobs.create(header.path, encode_segment(header, messages))
            count += messages.num_rows
        write, write_cpu = time.perf_counter() - begun, time.process_time() - cpu
        segments = -(-len(made) // per_segment)
        size = sum(blobs.size(segment_path(RUN, 0, number)) for number in range(1, segments + 1))
        begun, cpu, read = time.perf_counter(), time.process_time(), 0
        for number in range(1, segments + 1):
            read += load_segment(blobs, segment_path(RUN, 0, number)).messages.num_rows
        assert read == count
        read_seconds, read_cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {
        "written_per_s": round(count / write),
        "written_per_cpu_s": round(count / write_cpu),
        "write_cpu_s": round(write_cpu, 3),
        "disk_wait_s": round(blobs.seconds - blobs.cpu, 3),
        "read_per_s": round(count / read_seconds),
        "read_per_cpu_s": round(count / read_cpu),
        "bytes_per_message": round(size / count, 1),
    }


def main() -> None:
    """Measure both forms and several sizes of segments, and record them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    rows = []
    print(f"{'form':<6}{'a segment':>10}{'written/s':>12}{'a CPU s':>12}{'disk wait':>11}{'read/s':>12}{'bytes':>8}")
    for form in FORMS:
        made = responses(form, options.messages)
        for per_segment in (1, 5, 10):
            rounds = [measure(form, made, per_segment) for _ in range(options.rounds)]
            figures = {name: [each[name] for each in rounds] for name in rounds[0]}
            best = max(rounds, key=lambda each: each["written_per_cpu_s"])
            print(
                f"{form:<6}{per_segment * 1_000:>10,}{best['written_per_s']:>12,.0f}{best['written_per_cpu_s']:>12,.0f}"
                f"{best['disk_wait_s']:>10.2f}s{best['read_per_s']:>12,.0f}{best['bytes_per_message']:>8.1f}"
            )
            case = {"form": form, "messages": options.messages, "a_segment": per_segment * 1_000}
            rows.append(Row(case, figures))
    if not options.no_record:
        record("journal", rows)
    os.sync()


if __name__ == "__main__":
    main()
