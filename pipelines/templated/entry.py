"""The entry point of a Flex Template's image, run at each launch."""

from __future__ import annotations

import os
import sys
from typing import Final

from tandem.pipelines.console.ending import ended, wants_trace
from tandem.pipelines.launchables import launchable
from tandem.pipelines.planning.launch import launch
from tandem.runners.dataflow.templates.metadata import check_template
from tandem.runners.dataflow.templates.parameters import flags_of_parameters

__all__ = ["main"]

_PRIVATE: Final = 0o077


def main(name: str) -> None:
    """Launch the pipeline of a template with this process's arguments as parameters. Prints an error as one line."""
    os.umask(_PRIVATE)
    words = sys.argv[1:]
    trace = wants_trace(words)
    ended(lambda: launch(launchable(check_template(name)), flags_of_parameters(name, words)), trace=trace)
