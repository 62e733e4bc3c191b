"""Checks whether Pub/Sub can be reached, as by clients in this process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Final

from tandem.diagnosis.finding import Finding, State

__all__ = ["broker_findings"]

_SECONDS: Final = 3.0


def broker_findings() -> Iterator[Finding]:
    """Findings about the emulator of PUBSUB_EMULATOR_HOST, or without it about the credentials for Pub/Sub."""
    address = os.environ.get("PUBSUB_EMULATOR_HOST", "")
    yield _emulator(address) if address else _credentials()


def _emulator(address: str) -> Finding:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _SECONDS):
            return Finding("broker", State.OK, f"something listens at PUBSUB_EMULATOR_HOST={address}")
    except (OSError, ValueError) as error:
        what = f"nothing listens at PUBSUB_EMULATOR_HOST={address}: {error}"
        return Finding(
            "broker", State.ERROR, what, "`tandem emulator` starts one, `unset PUBSUB_EMULATOR_HOST` uses Pub/Sub"
        )


def _credentials() -> Finding:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    os.environ.setdefault("NO_GCE_CHECK", "true")  # no look for a metadata server, which takes seconds elsewhere
    try:
        _, project = google.auth.default()
        return Finding(
            "broker", State.OK, f"credentials for Pub/Sub are there{f', of project {project}' if project else ''}"
        )
    except DefaultCredentialsError:
        what = "no credentials for Pub/Sub, and PUBSUB_EMULATOR_HOST isn't set: live can't read a subscription"
        fix = "`tandem emulator` and PUBSUB_EMULATOR_HOST, or `gcloud auth application-default login`"
        return Finding("broker", State.NOTE, what, fix)
