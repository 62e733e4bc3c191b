"""`tandem serve`: answers over HTTP."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Annotated

import typer

from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, JournalOption, LogFormatOption, StoreOption
from tandem.runners.options.places import Home
from tandem.schemas.errors import LaunchError, StoreAddressError, StoreError, UserError
from tandem.schemas.telemetry.logs import log_as, logged
from tandem.storage.urls import is_url, place_of

__all__ = ["serve"]


def serve(
    host: Annotated[str, typer.Option(help="address to listen on; others than this machine need --auth")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one")] = 8080,
    names: Annotated[
        list[str] | None, typer.Option("--name", metavar="NAME", help="a name that it is called by; repeatable")
    ] = None,
    auth: Annotated[bool, typer.Option("--auth", help="answer only those with an API key (see `tandem keys`)")] = False,
    oidc_issuer: Annotated[
        str | None, typer.Option(metavar="URL", help="let in who has a token of this OpenID provider, too")
    ] = None,
    oidc_audience: Annotated[str, typer.Option(metavar="NAME", help="that tokens must be meant for")] = "tandem",
    oidc_keys: Annotated[
        str | None, typer.Option(metavar="URL", help="the provider's keys (default: ISSUER/.well-known/jwks.json)")
    ] = None,
    readers: Annotated[int, typer.Option(min=1, max=64, help="threads that read the store")] = 4,
    max_age: Annotated[
        str, typer.Option(metavar="DURATION", help="how far the watermark may lag and still be fresh")
    ] = "1m",
    keys_folder: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="of API keys and audit log (default: the home)")
    ] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
    log_format: LogFormatOption = "plain",
    dead_letters: Annotated[
        str | None, typer.Option("--dead-letters", metavar="PLACE", help="folder or URL (default: HOME/deadletters)")
    ] = None,
) -> None:
    """Serve answers over HTTP, for programs as an API and for people as pages, until SIGTERM or Ctrl-C."""
    from tandem.serving.questions.selection.spans import duration_of

    log_as(log_format)
    try:
        from tandem.serving.api.application import application
        from tandem.serving.api.settings import Settings
        from tandem.serving.api.transport.server import serve as run
        from tandem.serving.security.tokens import oidc_tokens
    except ModuleNotFoundError as error:
        if str(error.name).startswith("tandem"):
            raise
        raise LaunchError(f"{error.name} isn't installed", "pip install 'tandem-beam[serve]'") from error

    folder, places = _keys_folder(keys_folder, home), _looked_at(Home.of(home, store, journal, dead_letters))
    settings = Settings(
        folder,
        places.store,
        places.journal,
        letters=places.dead_letters,
        place=place_of(home, "--home"),
        host=host,
        port=port,
        names=tuple(names or ()),
        keys=auth,
        readers=readers,
        max_age=duration_of(max_age, "--max-age"),
    )
    _check_issuer(oidc_issuer, auth)
    tokens = oidc_tokens(oidc_issuer, oidc_audience, oidc_keys) if oidc_issuer is not None else None
    run(application(settings, _now, tokens), settings, _announce)


def _announce(address: str) -> None:
    """Print the address on standard output whatever the log format: the starting process waits for it."""
    say(f"serving at {address}")
    logged("serving", address=address)


def _now() -> int:
    return time.time_ns() // 1000


def _keys_folder(folder: str | None, home: str) -> Path:
    """The folder of API keys and the audit log. Raises UserError for a URL."""
    if is_url(folder or home):
        raise UserError(f"--home {home}: API keys and the audit log need a folder; --keys-folder names one")
    return Path(folder or home).absolute()


def _looked_at(places: Home) -> Home:
    """The same places; warns where there is no store yet, or it can't be read now: the server opens it later.

    Raises StoreAddressError for a home that this user can't read: waiting wouldn't help.
    """
    from tandem.views.store import ViewStore

    if not places.store.startswith("sqlite"):
        return places  # a server that isn't there is waited for
    try:
        ViewStore(places.store, create=False).close()
    except StoreAddressError:
        raise
    except StoreError as error:
        line = f"{error}; until then every question is answered with that"
        if not logged(line, logging.WARNING):
            say(f"warning: {line}", err=True)
    return places


def _check_issuer(issuer: str | None, auth: bool) -> None:
    if issuer is not None and not auth:
        raise UserError("--oidc-issuer goes with --auth: without it everybody is let in")
