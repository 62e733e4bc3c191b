"""The rates of publishing to and pulling from the embedded Pub/Sub: `python benchmarks/parts/emulator.py`.

A server process and one client process; the client sends requests that were serialized beforehand through raw gRPC
stubs, so that most of what is measured is the server. Prints messages a second, and the CPU seconds of both processes.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.pubsub_v1 import types

ROOT = Path(__file__).resolve().parents[2]
TOPIC = "projects/benchmark/topics/messages"
SUBSCRIPTION = "projects/benchmark/subscriptions/messages"
PUBLISHER = "/google.pubsub.v1.Publisher/"
SUBSCRIBER = "/google.pubsub.v1.Subscriber/"
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]

Stub = Callable[[bytes], bytes]


def main() -> None:
    """Measure both phases and print the table, or with --phase run the client process of one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000, help="messages to publish, then to pull")
    parser.add_argument("--batch", type=int, default=1000, help="messages in a request")
    parser.add_argument("--size", type=int, default=100, help="bytes of data in a message")
    parser.add_argument("--threads", type=int, default=2, help="requests that the client has under way")
    parser.add_argument("--phase", choices=sorted(PHASES), help=argparse.SUPPRESS)
    parser.add_argument("--address", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        print(json.dumps(run_client(options)))
    else:
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Start the server, run the client processes one after the other, print a table."""
    command = [sys.executable, "-m", "tandem.emulator", "--port", "0"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        server.stdout.readline()
        address = server.stdout.readline().strip().partition("=")[2]
        print(f"{options.messages:,} messages of {options.size} bytes, {options.batch} in a request")
        print(f"{'phase':<12} {'messages/s':>12} {'client CPU s':>14} {'server CPU s':>14}")
        for phase in PHASES:
            before = cpu_seconds(server.pid)
            arguments = [f"--{name}={getattr(options, name)}" for name in ("messages", "batch", "size", "threads")]
            client = [sys.executable, __file__, f"--phase={phase}", f"--address={address}", *arguments]
            result = json.loads(subprocess.run(client, check=True, stdout=subprocess.PIPE, text=True).stdout)
            used = cpu_seconds(server.pid) - before
            rate = options.messages / result["seconds"]
            print(f"{phase:<12} {rate:>12,.0f} {result['cpu']:>14.1f} {used:>14.1f}")
    finally:
        server.terminate()
        server.wait()


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a running process; NaN where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_client(options: argparse.Namespace) -> dict[str, float]:
    """Run one phase in threads that share the work; returns its wall and CPU seconds, without preparation."""
    prepare, work = PHASES[options.phase]
    channels = [grpc.insecure_channel(options.address, options=CHANNEL_OPTIONS) for _ in range(options.threads)]
    prepared = prepare(channels[0], options)
    shares = [options.messages // options.threads] * options.threads
    shares[0] += options.messages - sum(shares)
    threads = [
        threading.Thread(target=work, args=(channel, prepared, share, options.batch))
        for channel, share in zip(channels, shares, strict=True)
    ]
    start, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}


def prepare_publishing(channel: grpc.Channel, options: argparse.Namespace) -> bytes:
    """Create topic and subscription; returns a serialized request that is sent repeatedly."""
    stub(channel, PUBLISHER + "CreateTopic")(serialized(types.Topic.pb()(name=TOPIC)))
    subscription = types.Subscription.pb()(name=SUBSCRIPTION, topic=TOPIC, ack_deadline_seconds=600)
    stub(channel, SUBSCRIBER + "CreateSubscription")(serialized(subscription))
    messages = [types.PubsubMessage.pb()(data=os.urandom(options.size)) for _ in range(options.batch)]
    return serialized(types.PublishRequest.pb()(topic=TOPIC, messages=messages))


def publish(channel: grpc.Channel, request: bytes, share: int, batch: int) -> None:
    """Publish `share` messages, rounded up to whole requests."""
    send = stub(channel, PUBLISHER + "Publish")
    for _ in range(0, share, batch):
        send(request)


def prepare_pulling(channel: grpc.Channel, options: argparse.Namespace) -> bytes:
    """A serialized pull request."""
    return serialized(types.PullRequest.pb()(subscription=SUBSCRIPTION, max_messages=options.batch))


def pull(channel: grpc.Channel, request: bytes, share: int, batch: int) -> None:
    """Pull and acknowledge `share` messages, rounded up to whole responses."""
    receive, acknowledge = stub(channel, SUBSCRIBER + "Pull"), stub(channel, SUBSCRIBER + "Acknowledge")
    response_type, acknowledge_type = types.PullResponse.pb(), types.AcknowledgeRequest.pb()
    while share > 0:
        received = response_type.FromString(receive(request)).received_messages
        ack_ids = [message.ack_id for message in received]
        if not ack_ids:
            raise SystemExit(f"{share} messages are missing")
        acknowledge(serialized(acknowledge_type(subscription=SUBSCRIPTION, ack_ids=ack_ids)))
        share -= len(ack_ids)


def stub(channel: grpc.Channel, method: str) -> Stub:
    """A unary call that takes and returns bytes."""
    call: Stub = channel.unary_unary(method)
    return call


def serialized(message: Any) -> bytes:
    """The bytes of a protocol buffer message."""
    data: bytes = message.SerializeToString()
    return data


PHASES: dict[str, tuple[Callable[..., bytes], Callable[..., None]]] = {
    "publish": (prepare_publishing, publish),
    "pull and ack": (prepare_pulling, pull),
}

if __name__ == "__main__":
    main()
