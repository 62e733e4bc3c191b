"""Starts and stops the embedded Pub/Sub."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType, TracebackType

import grpc

from tandem.emulator.rpc.publisher import PublisherService
from tandem.emulator.rpc.routes import Routes
from tandem.emulator.rpc.schema_service import SchemaService
from tandem.emulator.rpc.streaming import StreamingService
from tandem.emulator.rpc.subscriber import SubscriberService
from tandem.emulator.state.broker import DEFAULT_MAX_BACKLOG_BYTES, Broker
from tandem.emulator.state.schemas import Schemas

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8085
DEFAULT_PULL_WAIT_SECONDS = 1.0

MAX_STREAMS = 100
MAX_WAITING_PULLS = 100
_THREADS = MAX_STREAMS + MAX_WAITING_PULLS + 56
"""Number of threads: 56 are left when every stream and every waiting pull holds one."""

_MAX_GRPC_BYTES = 64 << 20
_CLIENT_PING_MILLISECONDS = 10_000
"""Least interval of pings on an idle connection; clients that ping more often are cut off. The official ones ping every
30 s."""

_MAX_PORT = 65_535
_STOP_SECONDS = 0.5
_LOOK_FOR_SIGNALS_SECONDS = 0.1


class CannotListen(OSError):
    """The address cannot be used: taken, not this machine's, or not allowed. Its text is one line."""


class EmbeddedPubSub:
    """A Pub/Sub server in this process, for the length of a `with` block (or from `start` to `stop`).

    Port 0 takes a free port; `address` has it. `clock` (monotonic, in seconds) decides when leases end. A pull waits
    `pull_wait_seconds` of real time for its first message. All messages are in memory and gone after `stop`.
    """

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        port: int = 0,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_backlog_bytes: int = DEFAULT_MAX_BACKLOG_BYTES,
        pull_wait_seconds: float = DEFAULT_PULL_WAIT_SECONDS,
    ) -> None:
        self._host = host
        self._port = port
        self._pull_wait_seconds = pull_wait_seconds
        self._broker = Broker(clock=clock, max_backlog_bytes=max_backlog_bytes)
        self._server: grpc.Server | None = None

    @property
    def address(self) -> str:
        """`HOST:PORT`, the value for PUBSUB_EMULATOR_HOST. Before `start` the port may be 0."""
        return f"{_bracketed(self._host)}:{self._port}"

    def start(self) -> None:
        """Listen and answer calls, in threads of their own. CannotListen if the address cannot be used."""
        if self._server is not None or self._broker.closed:
            raise RuntimeError("An EmbeddedPubSub starts once; make another one.")
        _check_address(self._host, self._port)
        server = grpc.server(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="pubsub"),
            options=[
                ("grpc.max_receive_message_length", _MAX_GRPC_BYTES),
                ("grpc.max_send_message_length", _MAX_GRPC_BYTES),
                ("grpc.so_reuseport", 0),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", _CLIENT_PING_MILLISECONDS),
            ],
        )
        schemas = Schemas(time.time_ns)
        routes = Routes(
            PublisherService(self._broker, schemas),
            SubscriberService(self._broker, self._pull_wait_seconds, MAX_WAITING_PULLS),
            StreamingService(self._broker, MAX_STREAMS),
            SchemaService(schemas),
        )
        server.add_generic_rpc_handlers((routes,))
        try:
            self._port = server.add_insecure_port(self.address)
        except RuntimeError as error:
            raise CannotListen(f"Cannot listen on {self.address}.") from error
        server.start()
        self._server = server

    def stop(self) -> None:
        """End all calls, within a second, and free the port; harmless when stopped before."""
        self._broker.close()
        if self._server is not None:
            self._server.stop(_STOP_SECONDS).wait()

    def __enter__(self) -> "EmbeddedPubSub":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    ready: Callable[[str], None] | None = None,
    *,
    max_backlog_bytes: int = DEFAULT_MAX_BACKLOG_BYTES,
    stop: threading.Event | None = None,
) -> None:
    """Run until SIGTERM or SIGINT (Ctrl-C), or until `stop` is set; then end all calls and return.

    `ready` is called with the address once the server answers. Raises CannotListen for an address that cannot be used.
    Signals are handled in the main thread only; elsewhere use `stop`.
    """
    stopping = stop or threading.Event()
    with _signals() as caught, EmbeddedPubSub(host, port, max_backlog_bytes=max_backlog_bytes) as pubsub:
        if ready is not None:
            ready(pubsub.address)
        while not caught and not stopping.wait(_LOOK_FOR_SIGNALS_SECONDS):
            pass


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Within the context, append SIGTERM and SIGINT to the list, if this is the main thread.

    A handler may interrupt the main thread while it holds the lock of an event, so it must not set one.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def handle(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _check_address(host: str, port: int) -> None:
    """Bind once without gRPC, whose errors have less detail, and which logs them and wraps large ports."""
    shown = f"{_bracketed(host if host.isprintable() else repr(host))[:200]}:{port}"
    if not 0 <= port <= _MAX_PORT:
        raise CannotListen(f"Cannot listen on {shown}: ports go from 0 to {_MAX_PORT}.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, ValueError) as error:  # a ValueError for a name that no host can have
        why = getattr(error, "strerror", None) or "no host has such a name"
        raise CannotListen(f"Cannot listen on {shown}: {why}.") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
