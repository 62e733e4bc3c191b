"""The Dockerfile of Tandem's images, read: its instructions by stage, and what is in its context."""

from __future__ import annotations

import fnmatch
import re
from typing import Final

from deployments.deploy_tools import DEPLOY, ROOT, ran

__all__ = ["FILE", "context", "ignored", "instructions", "stages"]

FILE: Final = DEPLOY / "containers/Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """(word, what it says) of each, comments left out and lines that go on joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", FILE.read_text(encoding="utf-8"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage by its name; the first is its FROM."""
    found, name = dict[str, list[tuple[str, str]]](), ""
    for word, rest in instructions():
        if word == "FROM":
            name = rest.split(" AS ")[1]
            found[name] = []
        found[name].append((word, rest))
    return found


def context() -> list[str]:
    """What a builder is sent: the checkout's files but for those that .dockerignore leaves out."""
    return [path for path in ran("git", "-C", str(ROOT), "ls-files").splitlines() if not ignored(path)]


def ignored(path: str) -> bool:
    """As the builder reads .dockerignore: the last pattern that fits wins; one of a folder fits what lies below it."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").strip()
        if not pattern or pattern.startswith("#"):
            continue
        parts = path.split("/")
        above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        names = [*above, *parts] if pattern.startswith("**/") else above
        if any(fnmatch.fnmatch(name, pattern.removeprefix("**/")) for name in names):
            out = not line.startswith("!")
    return out
