"""Writes log lines to standard error: plain for people, or structured by structlog for collectors.

Modules log by Python's own `logging`, fields in `extra`; commands print messages for people. Structured, both come out
the same way: one line each, with its time, level, logger, fields and context (`context`). structlog is imported only
then.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, Final

from tandem.schemas.errors import UserError
from tandem.schemas.privacy.printable import json_text, printable
from tandem.schemas.privacy.secrets import redacted
from tandem.schemas.telemetry.context import current

__all__ = ["FORMATS", "VARIABLE", "formatted", "log_as", "log_format", "logged", "structured"]

FORMATS: Final = ("plain", "console", "json")
VARIABLE: Final = "TANDEM_LOG_FORMAT"
"""The environment's variable for the format; a flag overrides it."""
_LEVEL: Final = "TANDEM_LOG"
_OURS: Final = logging.getLogger("tandem")
_HANDLERS: Final[list[logging.Handler]] = []
"""This module's handlers while logs are structured."""


class _PlainLines(logging.Handler):
    """Writes a record as `LEVEL: MESSAGE`, such as 'warning: ...'."""

    def emit(self, record: logging.LogRecord) -> None:
        text = printable(redacted(record.getMessage()))
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        shown = f"\n{printable(redacted(trace), lines=True)}" if trace else ""
        sys.stderr.write(f"{record.levelname.lower()}: {text}{shown}\n")


_PLAIN: Final = _PlainLines()
Event = MutableMapping[str, Any]


def log_format(text: str) -> str:
    """The format, one of FORMATS. Raises UserError for another."""
    if text not in FORMATS:
        raise UserError(f"--log-format (or {VARIABLE}) is {text[:40]!r}; one of {', '.join(FORMATS)} is possible")
    return text


def structured() -> bool:
    """Whether this process's log lines are structured."""
    return bool(_HANDLERS)


def log_as(form: str) -> None:
    """Set the format of lines from now on. Can be called again.

    `plain` leaves Python's own format where TANDEM_LOG asks for a level, or where the root logger has another handler.
    """
    root = logging.getLogger()
    for handler in (*_HANDLERS, _PLAIN):
        root.removeHandler(handler)
    _HANDLERS.clear()
    if form == "plain":
        # Beam's import may have given the root logger Python's own handler; any other is of who calls us.
        if not os.environ.get(_LEVEL) and all(type(handler) is logging.StreamHandler for handler in root.handlers):
            root.handlers[:] = [_PLAIN]
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(form))
    _HANDLERS.append(handler)
    root.addHandler(handler)
    level = os.environ.get(_LEVEL, "").upper()
    root.setLevel(level or logging.WARNING)
    _OURS.setLevel(level or logging.INFO)


def logged(text: str, level: int = logging.INFO, /, **fields: Any) -> bool:
    """Log a message for people where lines are structured; False where they aren't, so that the caller prints it."""
    if not _HANDLERS:
        return False
    _OURS.log(level, "%s", text, extra=fields)
    return True


def formatted(text: str) -> str:
    """The line that `logged` would write, for callers that write it themselves, such as signal handlers; '' where logs
    are plain.
    """
    if not _HANDLERS:
        return ""
    record = _OURS.makeRecord(_OURS.name, logging.WARNING, "", 0, "%s", (text,), None)
    return _HANDLERS[0].format(record)


def _formatter(form: str) -> logging.Formatter:
    import structlog

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _about,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = [_private_json, structlog.processors.JSONRenderer(serializer=_json)]
    if form == "console":
        last = [_private_text, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_as_it_is)]
    processors: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*processors, *last])


def _about(logger: Any, method: str, event: Event) -> Event:
    for written in ("message", "asctime"):  # by formatters of others, into the record itself
        event.pop(written, None)
    for name, value in current().items():
        event.setdefault(name, value)
    return event


def _private_json(logger: Any, method: str, event: Event) -> Event:
    """The event without passwords; `json_text` escapes what would control a terminal."""
    return {name: _plain(value) for name, value in event.items()}


def _private_text(logger: Any, method: str, event: Event) -> Event:
    for name, value in event.items():
        shown = _plain(value)
        event[name] = printable(shown, lines=name == "exception") if isinstance(shown, str) else shown
    return event


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return redacted(str(value))


def _json(event: Event, **_: Any) -> str:
    return json_text(event)


def _as_it_is(sio: Any, exc_info: Any) -> None:
    """Do nothing: traces are texts already."""
