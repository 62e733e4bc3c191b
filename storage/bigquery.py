"""Opens BigQuery by Google's own client, for creating and loading tables."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Final

from tandem.schemas.errors import LaunchError

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

__all__ = ["EMULATOR", "check_installed", "client_of"]

EMULATOR: Final = "BIGQUERY_EMULATOR_HOST"
"""The environment's variable that Google's client reads: URL of a server that is called without credentials."""


def check_installed() -> None:
    """Raise LaunchError where Google's client isn't installed."""
    if importlib.util.find_spec("google.cloud.bigquery") is None:
        raise LaunchError("google-cloud-bigquery isn't installed", "pip install 'tandem-beam[gcp]'")


def client_of(project: str) -> Client:
    """The client of a project. Raises LaunchError without credentials."""
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.bigquery import Client

    if os.environ.get(EMULATOR):
        return Client(project, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    try:
        return Client(project)
    except GoogleAuthError as error:
        raise LaunchError(f"no credentials for BigQuery: {str(error).splitlines()[0]}") from None
