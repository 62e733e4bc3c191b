"""Outputs of alerts: the log, files, Pub/Sub, webhooks, and Alertmanager.

The path of a webhook's URL may be its only secret, as with chat services: nothing but scheme and host is ever shown.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tandem.schemas.definition.model_base import Model, fields_of_one
from tandem.schemas.privacy.secrets import keep_secret
from tandem.schemas.result_windows.models import Output

__all__ = ["Action", "Actions", "HttpTarget", "shown_label", "shown_url", "without_path"]

_KINDS: Final = ("log", "files", "pubsub", "webhook", "alertmanager")
_OVER_HTTP: Final = ("webhook", "alertmanager")
_MOST: Final = 8
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]{1,253}", re.ASCII)


_HIDDEN: Final = "***"
_SHORTEST: Final = 4
"""Characters: a shorter part of a path would be found in any text."""
_TOKEN: Final = re.compile(r"(?=.*[0-9])[A-Za-z0-9_~.+=-]{16,}", re.ASCII)
"""A part of a URL that is hidden wherever it stands, since no word is like it."""


def _url(text: str) -> str:
    """The URL. What is wrong is said without it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("this is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("this is no http:// or https:// URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no credentials in a URL; `secret` names a variable of the environment")
    if parts.fragment or any(ord(letter) < 33 or ord(letter) > 126 for letter in text):
        raise ValueError(f"the URL at {parts.hostname[:120]!r} has a fragment, or letters that a URL can't have")
    for piece in _pieces(text):
        if _TOKEN.fullmatch(piece):
            keep_secret(piece)
    return text


def _pieces(url: str) -> list[str]:
    """What may be a secret of a URL: all that follows the host, whole and in its parts, the longest first."""
    parts = urlsplit(url)
    values = [value for pair in parse_qsl(parts.query, keep_blank_values=True) for value in pair]
    whole = [f"{parts.path}?{parts.query}", parts.path.rstrip("/"), parts.query]
    found = {form for piece in (*whole, *parts.path.split("/"), *values) for form in (piece, unquote(piece))}
    return sorted((piece for piece in found if len(piece) >= _SHORTEST), key=len, reverse=True)


def shown_url(url: str) -> str:
    """A URL as it is shown: scheme, host and port, and a digest of the rest, by which two of one host differ.

    >>> shown_url("https://hooks.example.com/services/T0/B0/abc?token=abc")
    'https://hooks.example.com/***-01b4bf27'
    >>> shown_url("http://alertmanager:9093")
    'http://alertmanager:9093'
    """
    begin, slashes, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0] if slashes else ""
    rest = rest[len(host) :]
    if slashes and rest in ("", "/"):
        return url
    digest = hashlib.sha256(rest.encode()).hexdigest()[:8]
    return f"{begin}://{host}/{_HIDDEN}-{digest}" if slashes else _HIDDEN


def without_path(text: str, url: str) -> str:
    """A text, such as a receiver's answer, with every part of a URL's path and query as `***`."""
    for piece in _pieces(url):
        text = text.replace(piece, _HIDDEN)
    return text


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("`secret` is the name of a variable of the environment, never the secret itself")
    return name


def _hosts(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _names(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError("`allow` holds names of hosts, without a scheme and a path")
    return hosts


def shown_label(label: str) -> str:
    """An output's label for display: of a URL only what `shown_url` shows.

    >>> shown_label("webhook https://hooks.example.com/services/T0/B0/abc?token=abc")
    'webhook https://hooks.example.com/***-01b4bf27'
    """
    kind, _, place = label.partition(" ")
    return f"{kind} {shown_url(place)}" if kind in _OVER_HTTP else label


class HttpTarget(Model):
    """An address that alerts are posted to."""

    url: Annotated[str, AfterValidator(_url)]
    """The address, http:// or https://."""
    secret: Annotated[str, AfterValidator(_variable)] | None = None
    """The variable of the deliverer's environment with the key of the signature (HMAC-SHA256)."""
    allow: Annotated[
        tuple[str, ...],
        BeforeValidator(_hosts),
        AfterValidator(_names),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = ()
    """Hosts, as in the URL, that may resolve to private, loopback or link-local addresses."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value

    def __getstate__(self) -> dict[Any, Any]:
        """Pickled without what `shown_url` hides: pickles stand in the graphs of jobs, which whoever sees the job may
        read, and no worker sends alerts.
        """
        state = super().__getstate__()
        return {**state, "__dict__": {**state["__dict__"], "url": shown_url(self.url)}}


class Action(Model):
    """One output of alerts: `log`, `{files: FOLDER}`, `{pubsub: TOPIC}`, `{webhook: URL}` or `{alertmanager: URL}`."""

    log: Literal[True] | None = None
    """Lines of JSON on the deliverer's standard output."""
    files: str | None = None
    """A place as in results; files are JSON Lines."""
    pubsub: str | None = None
    """A topic, projects/PROJECT/topics/NAME."""
    webhook: HttpTarget | None = None
    """JSON by POST: a URL, or `{url:, secret:, allow:}`."""
    alertmanager: HttpTarget | None = None
    """The base URL of an Alertmanager (its API v2)."""

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: object) -> object:
        return fields_of_one(value, _KINDS, f"alerts go to one of {', '.join(_KINDS)}")[0]

    @model_validator(mode="after")
    def _as_an_output(self) -> Action:
        if self.files is not None or self.pubsub is not None:
            self._output()
        return self

    def _output(self) -> Output:
        kind = "files" if self.files is not None else "pubsub"
        return Output.model_validate({kind: getattr(self, kind)})

    @property
    def target(self) -> HttpTarget | None:
        """The address of a webhook or an Alertmanager, None for other outputs."""
        return self.webhook or self.alertmanager

    @property
    def groups_itself(self) -> bool:
        """Whether it receives each alert by itself, whatever `group_by` says."""
        return self.alertmanager is not None

    @property
    def label(self) -> str:
        """`log`, `files PLACE`, `webhook URL` and so on: the store's name of the output."""
        if self.log:
            return "log"
        if self.target is not None:
            return f"{'webhook' if self.webhook else 'alertmanager'} {self.target.url}"
        return self._output().label


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else (value,)


def _few(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    labels = [action.label for action in actions]
    if len(actions) > _MOST:
        raise ValueError(f"{len(actions)} places; at most {_MOST}")
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"'{shown_label(label)}' twice; write each place once")
    return actions


Actions = Annotated[tuple[Action, ...], BeforeValidator(_listed), AfterValidator(_few), Field(max_length=_MOST)]
"""One output, or a list of them."""
