"""Binds Beam's servers where no other host, and if possible no other user of this machine, reaches them.

Beam 2.77 binds the servers of the FnApiRunner, of worker pools and of embedded job services to `[::]`, on all
interfaces, without credentials. A client of one of them can run code in this process, or read any file of its user.

The parts are independent: each verifies the places that it changes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
from apache_beam.portability import common_urns
from apache_beam.runners.portability import abstract_job_service, local_job_service
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import worker_pool_main

from tandem.runners.beam_patches.known import Patch, check_parameters, check_source
from tandem.runners.local.sockets import private_socket

__all__ = ["PATCH", "apply", "closed_to_other_users"]

PATCH: Final = Patch(
    else_would="listen on all interfaces",
    issue="https://github.com/apache/beam/pull/10161",
    tried=("2.77.0",),
    goes_when="servers bind to an address that they are told",
)

_WIDE: Final = "'[::]:"
_CONTAINERS: Final = frozenset({common_urns.environments.DOCKER.urn, common_urns.environments.EXTERNAL.urn})
"""Environments whose workers may not see this machine's files, or run as another user."""
_POOL_FLAGS: Final = (
    "use_process",
    "port",
    "state_cache_size",
    "data_buffer_time_limit_ms",
    "container_executable",
)


class _Here(threading.local):
    sockets: bool = False
    """Whether servers of this thread listen at Unix sockets instead of ports of 127.0.0.1."""


_HERE: Final = _Here()


@contextmanager
def closed_to_other_users(closed: bool = True) -> Iterator[None]:
    """Bind servers that this thread makes to sockets of this user alone: for clients that can reach those."""
    before, _HERE.sockets = _HERE.sockets, closed
    try:
        yield
    finally:
        _HERE.sockets = before


def apply() -> None:
    """Patch Beam's modules. Raises LaunchError where they differ from the known ones."""
    PATCH.check()
    check_source(worker_handlers, _WIDE, 4, PATCH.else_would)
    check_source(worker_pool_main, _WIDE, 1, PATCH.else_would)
    check_source(abstract_job_service, _WIDE, 1, PATCH.else_would)
    check_source(local_job_service, _WIDE, 1, PATCH.else_would)
    for module in (worker_handlers, worker_pool_main, abstract_job_service, local_job_service):
        setattr(module, "grpc", _Grpc())  # noqa: B010
    _patch_handlers()
    _patch_pools()


class _Grpc:
    """Stands in for the module grpc; its servers don't listen on all interfaces."""

    def __getattr__(self, name: str) -> Any:
        return getattr(grpc, name)

    def server(self, *arguments: Any, **options: Any) -> Any:
        """See grpc.server."""
        return _Server(grpc.server(*arguments, **options))


class _Server:
    """A gRPC server that binds to less than its caller requests."""

    def __init__(self, server: grpc.Server) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def add_insecure_port(self, address: str) -> int | str:
        """Bind; returns the port of 127.0.0.1, or the address of a Unix socket. Raises RuntimeError where it can't
        listen.
        """
        host, _, port = address.rpartition(":")
        if _HERE.sockets and host == "[::]" and port == "0":
            socket = f"unix:{private_socket()}"
            self._server.add_insecure_port(socket)
            return socket
        return int(self._server.add_insecure_port(f"127.0.0.1:{port}" if host in ("[::]", "0.0.0.0", "") else address))


def _patch_handlers() -> None:
    """The FnApiRunner: its servers are addressed by the result of `add_insecure_port`."""
    made = worker_handlers.GrpcServer.__init__
    check_parameters(made, ("self", "state", "provision_info", "worker_manager"), PATCH.else_would)
    check_parameters(worker_handlers.GrpcWorkerHandler.port_from_worker, ("self", "port"), PATCH.else_would)

    def make(self: Any, state: Any, provision_info: Any, worker_manager: Any) -> None:
        elsewhere = any(environment.urn in _CONTAINERS for environment in worker_manager._environments.values())
        with closed_to_other_users(not elsewhere):
            made(self, state, provision_info, worker_manager)

    def address_of(self: Any, port: int | str) -> str:
        if isinstance(port, str):
            return port
        host = self.host_from_worker()
        return f"{host if host == 'host.docker.internal' else '127.0.0.1'}:{port}"

    setattr(worker_handlers.GrpcServer, "__init__", make)  # noqa: B010
    setattr(worker_handlers.GrpcWorkerHandler, "port_from_worker", address_of)  # noqa: B010


def _patch_pools() -> None:
    """Pools of workers (LOOPBACK): their address is the one at which they listen."""
    pool = worker_pool_main.BeamFnExternalWorkerPoolServicer
    start = pool.start
    check_parameters(start, _POOL_FLAGS, PATCH.else_would)

    def start_here(cls: Any, *arguments: Any, **options: Any) -> tuple[str, Any]:
        address, server = start.__func__(cls, *arguments, **options)
        address = address.removeprefix("localhost:")
        return address if address.startswith("unix:") else f"127.0.0.1:{address}", server

    setattr(pool, "start", classmethod(start_here))  # noqa: B010
