"""Classic templates: a job that is written once, and gets its parameters when it is started.

The input of such a job is unknown when it is written, so it can't be planned then. The job has one step, on one worker,
which runs the command with the parameters of the start: for backfills and publishing within a single machine's power. A
Flex Template plans at each launch and uses all workers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from tandem.pipelines.templated.commands import run_command
from tandem.runners.dataflow.templates.metadata import parameter_flags
from tandem.runners.dataflow.templates.parameters import flags_of_parameters, wrong_parameters
from tandem.runners.options.beam import options_of_beam
from tandem.runners.submission.launching import launch
from tandem.schemas.errors import LaunchError, UserError
from tandem.storage.objects import ObjectMissingError
from tandem.storage.opening import objects_at
from tandem.storage.urls import Location, is_url, location

__all__ = ["CLASSIC", "RunAtStart", "check_classic", "classic_pipeline", "words_at_start", "write_classic"]

CLASSIC: Final = ("backfill", "publish")
"""Pipelines that end, and that need no decision of a launcher."""
_BUCKET: Final = re.compile(r"[a-z0-9][-_a-z0-9.]+[a-z0-9]")
"""As Beam checks it, which takes another folder for one whose bucket has no such name."""


@dataclass
class RunAtStart(beam.PTransform):  # type: ignore[misc]
    """Runs a pipeline in one worker with the parameters of the job's start; logs its lines to the job's log."""

    name: str

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection[str]:
        given = {flag.dest: RuntimeValueProvider(flag.dest, str, None) for flag in parameter_flags(self.name)}
        return root | "Once" >> beam.Create([self.name]) | "Run" >> beam.FlatMap(_run, given)


def _run(name: str, given: Mapping[str, RuntimeValueProvider]) -> Iterator[str]:
    yield from run_command((name, *words_at_start(name, {dest: value.get() for dest, value in given.items()})))


def words_at_start(name: str, given: Mapping[str, Any]) -> list[str]:
    """The command line of a start's parameters, where None is an absent one. Raises UserError for an invalid one."""
    parameters = {dest: str(value) for dest, value in given.items() if value is not None}
    wrong = wrong_parameters(name, parameters)
    if wrong:
        raise UserError("; ".join(wrong))
    return flags_of_parameters(name, [f"--{dest}={value}" for dest, value in parameters.items()])


def check_classic(name: str) -> str:
    """The name, checked. Raises UserError for a pipeline that has no classic template."""
    if name not in CLASSIC:
        raise UserError(f"no classic template is named {name!r}; there are {', '.join(CLASSIC)}")
    return name


def classic_pipeline(name: str, options: PipelineOptions) -> beam.Pipeline:
    """The graph of a classic template."""
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | name.capitalize() >> RunAtStart(name)
    return pipeline


def write_classic(name: str, place: str, flags: Sequence[str]) -> None:
    """Write a template to a file or an object; `flags` are Dataflow's: project, region, staging, image.

    Raises UserError, also for options with which Dataflow would take no job; PlaceError, LaunchError for a bucket that
    can't be used.
    """
    words = [*_fixed(name, place), *flags]
    _checked(name, words)
    try:
        launch(classic_pipeline(name, PipelineOptions(words)))
    except ValueError as error:  # Dataflow's runner has checked its options
        raise UserError(_one_line(error)) from error
    except (GoogleAPIError, GoogleAuthError, OSError) as error:
        raise LaunchError(f"the template can't be written: {_one_line(error)}") from error


def _fixed(name: str, place: str) -> tuple[str, ...]:
    """The flags that the template's name and place make. Raises UserError for a place where nothing can be written."""
    if "://" in place:
        if not _bucket(place, "--to").key:
            raise UserError(f"--to {place[:200]!r}: the object's name is missing")
    elif Path(place).is_dir() or not Path(place).absolute().parent.is_dir():
        raise UserError(f"--to {place[:200]!r}: a file in a folder that exists, or gs://BUCKET/NAME")
    return "--runner=DataflowRunner", f"--job_name=tandem-{name}", f"--template_location={place}"


def _checked(name: str, words: Sequence[str]) -> None:
    """Raise what Beam would meet only after minutes of retries: options first, without a network, then the bucket.

    One of both folders has to be named: without any Beam creates a bucket.
    """
    cloud = options_of_beam(words).view_as(GoogleCloudOptions)
    given = {flag: getattr(cloud, flag) for flag in ("temp_location", "staging_location")}
    folders = [_bucket(url, f"--{flag}") for flag, url in given.items() if url]
    if not folders:
        raise UserError("--staging_location is missing: gs://BUCKET/FOLDER, where the job's files are put")
    try:
        classic_pipeline(name, PipelineOptions([*words, "--dry_run=True", "--no_auth"]))
    except ValueError as error:
        raise UserError(_one_line(error)) from error
    for folder in folders:
        with suppress(ObjectMissingError):
            objects_at(folder).size(f"{folder.key}/pipeline.pb".lstrip("/"))


def _bucket(url: str, flag: str) -> Location:
    """The place in Cloud Storage. Raises UserError for another, and for a name that no bucket has."""
    found = location(url, flag) if is_url(url) else None
    if found is None or found.scheme != "gs" or not _BUCKET.fullmatch(found.bucket) or not url.isprintable():
        raise UserError(f"{flag} {url[:200]!r}: it is of the form gs://BUCKET/NAME")
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
