"""Where servers of Beam listen once Beam is changed; and that a Beam that isn't known is refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from apache_beam.portability import common_urns, python_urns
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from processes.listening import Listening, listening

from tandem.runners.beam_patches import interrupted_job_servers, known
from tandem.runners.beam_patches.launcher import patch_launcher
from tandem.runners.beam_patches.listening import closed_to_other_users
from tandem.runners.local.sockets import private_socket
from tandem.schemas.errors import LaunchError


@pytest.fixture(autouse=True)
def patched() -> None:
    patch_launcher()


def opened(start: Callable[[], Any]) -> tuple[list[Listening], Any]:
    """What this process listens at because of `start`, and what that returned."""
    before = {one.where for one in listening(os.getpid())}
    made = start()
    return [one for one in listening(os.getpid()) if one.where not in before], made


def runner_servers(*urns: str) -> tuple[list[Listening], Any]:
    environments = {str(number): SimpleNamespace(urn=urn) for number, urn in enumerate(urns)}
    manager: Any = SimpleNamespace(_environments=environments)
    state = worker_handlers.StateServicer()
    found, server = opened(lambda: worker_handlers.GrpcServer(state, None, manager))
    server.close()
    return found, server


def test_the_runners_servers_are_closed_to_other_users() -> None:
    found, _ = runner_servers(python_urns.EMBEDDED_PYTHON_GRPC)
    assert len(found) == 4
    assert all(one.private for one in found), found


@pytest.mark.parametrize("urn", [common_urns.environments.DOCKER.urn, common_urns.environments.EXTERNAL.urn])
def test_workers_that_see_no_sockets_get_ports_of_loopback(urn: str) -> None:
    found, server = runner_servers(python_urns.EMBEDDED_PYTHON_GRPC, urn)
    assert len(found) == 4
    assert all(one.closed and not one.private for one in found), found
    handler: Any = SimpleNamespace(host_from_worker=lambda: "any.host")
    address = worker_handlers.GrpcWorkerHandler.port_from_worker(handler, server.control_port)
    assert address == f"127.0.0.1:{server.control_port}"


@pytest.mark.parametrize("closed", [True, False], ids=["for-prism", "for-flink"])
def test_a_pool_of_workers_is_reached_where_it_says(closed: bool) -> None:
    with closed_to_other_users(closed):
        found, (address, server) = opened(BeamFnExternalWorkerPoolServicer.start)
    try:
        assert [one.where for one in found if one.closed and one.private is closed] == [
            address.removeprefix("unix:") if closed else f"::ffff:7f00:1:{address.rpartition(':')[2]}"
        ]
        assert address.startswith("unix:/" if closed else "127.0.0.1:")
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
    finally:
        server.stop(0)


def test_embedded_job_services_listen_at_loopback() -> None:
    service = local_job_service.LocalJobServicer()
    found, _ = opened(service.start_grpc_server)
    try:
        assert found
        assert all(one.closed for one in found), found
    finally:
        service.stop()


def test_what_was_started_leaves_no_sockets() -> None:
    """But for those that others in this process still have."""
    folder = private_socket().parent
    before = set(folder.iterdir())
    found, _ = runner_servers(python_urns.EMBEDDED_PYTHON_GRPC)
    assert Path(found[0].where).parent == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert set(folder.iterdir()) == before


def test_a_beam_that_isnt_known_is_refused() -> None:
    with pytest.raises(LaunchError, match="and would listen widely: nothing was started"):
        known.check_source(worker_handlers, "'[::]:", 5, "listen widely")
    with pytest.raises(LaunchError, match="GrpcServer"):
        known.check_parameters(worker_handlers.GrpcServer, ("self",), "listen widely")


def test_changing_twice_is_noticed() -> None:
    """The class is what was changed by now, not what is known."""
    with pytest.raises(LaunchError, match="end its job server at Ctrl-C"):
        interrupted_job_servers.apply()
