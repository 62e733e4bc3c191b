"""`python -m emulator`: the embedded Pub/Sub in the foreground."""

import argparse
from collections.abc import Sequence

from tandem.emulator.server import DEFAULT_HOST, DEFAULT_PORT, CannotListen, serve
from tandem.emulator.state.broker import DEFAULT_MAX_BACKLOG_BYTES


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until SIGTERM or Ctrl-C; SystemExit(2) for wrong arguments or an address that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m emulator",
        description="A Pub/Sub server in memory, for the official clients. Its messages end with it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port; 0 takes a free one")
    parser.add_argument(
        "--max-backlog-bytes",
        type=int,
        default=DEFAULT_MAX_BACKLOG_BYTES,
        help="memory for messages that are not acknowledged; publishing beyond it is refused",
    )
    options = parser.parse_args(arguments)
    try:
        serve(options.host, options.port, _announce, max_backlog_bytes=options.max_backlog_bytes)
    except CannotListen as error:
        parser.exit(2, f"{error}\n")


def _announce(address: str) -> None:
    print(f"Pub/Sub listens on {address}. Its messages are in memory only: they are gone when it ends.")
    print(f"export PUBSUB_EMULATOR_HOST={address}", flush=True)


if __name__ == "__main__":
    main()
