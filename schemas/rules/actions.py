"""Outputs of alerts: the log, files, Pub/Sub, webhooks, and Alertmanager."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tandem.schemas.definition.model_base import Model, fields_of_one
from tandem.schemas.result_windows.models import Output

__all__ = ["Action", "Actions", "HttpTarget", "shown_label"]

_KINDS: Final = ("log", "files", "pubsub", "webhook", "alertmanager")
_MOST: Final = 8
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]{1,253}", re.ASCII)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"{text[:120]!r} is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{text[:120]!r} is no http:// or https:// URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no credentials in a URL; `secret` names a variable of the environment")
    if parts.fragment or any(ord(letter) < 33 or ord(letter) > 126 for letter in text):
        raise ValueError(f"{text[:120]!r} has a fragment, or letters that a URL can't have")
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
            raise ValueError(f"{host[:80]!r} is no host's name")
    return hosts


def shown_label(label: str) -> str:
    """An output's label for display: without the query of its URL, which may hold a token.

    >>> shown_label("webhook https://hooks.example.com/alerts?token=abc")
    'webhook https://hooks.example.com/alerts'
    """
    return label.partition("?")[0] if label.startswith(("webhook ", "alertmanager ")) else label


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
            raise ValueError(f"'{label}' twice; write each place once")
    return actions


Actions = Annotated[tuple[Action, ...], BeforeValidator(_listed), AfterValidator(_few), Field(max_length=_MOST)]
"""One output, or a list of them."""
