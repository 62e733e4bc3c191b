"""`tandem template`: Dataflow's Flex Templates, from the same table of flags as the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tandem.pipelines.console.printing import console, print_json, say
from tandem.pipelines.console.tables import Column, print_table
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.runners.options.reading import Arguments

__all__ = ["build", "definition", "describe", "run", "write_json"]

NameArgument = Annotated[str, typer.Argument(metavar="TEMPLATE", help="live, backfill, reconcile, backtest or publish")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="PLACE", help="a file or gs:// (default: stdout)")]


def describe(
    template: NameArgument,
    as_json: Annotated[bool, typer.Option("--json", help="the metadata, as Dataflow's API has it")] = False,
) -> None:
    """Show the parameters of a template: what each is for, what it may be, and what goes without it."""
    from tandem.runners.dataflow.templates.metadata import metadata_of

    metadata = metadata_of(template)
    if as_json:
        print_json(metadata)
        return
    columns = [Column("parameter", keep=True), Column("needed", keep=True), Column("type", keep=True)]
    columns += [Column("what", wrap=True), Column("form", wrap=True)]
    rows = (
        (one["name"], "" if one["isOptional"] else "yes", one["paramType"], one["helpText"], *one.get("regexes", ("",)))
        for one in metadata["parameters"]
    )
    print_table(console(), columns, rows)


def build(
    template: NameArgument,
    image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="the template's image, best by digest: NAME@sha256:...")
    ] = None,
    to: ToOption = None,
    metadata: Annotated[bool, typer.Option("--metadata", help="the metadata alone, for gcloud and Terraform")] = False,
) -> None:
    """Write the specification that Dataflow launches: image, language, and parameters with their forms."""
    from tandem.runners.dataflow.templates.metadata import image_spec, metadata_of

    if metadata:
        write_json(metadata_of(template), to)
        return
    if image is None:
        raise UserError("--image is missing: the template's image, or --metadata for the parameters alone")
    write_json(image_spec(template, image), to)


def run(
    context: typer.Context,
    pipeline: NameArgument,
    template: Annotated[str, typer.Option(metavar="gs://", help="the specification, by `tandem template flex build`")],
    project: Annotated[str, typer.Option(help="where the job runs")],
    region: Annotated[str, typer.Option(help="where the job runs")],
    job_name: Annotated[str | None, typer.Option(metavar="NAME", help="default: tandem-TEMPLATE")] = None,
    update: Annotated[bool, typer.Option("--update", help="replace the running streaming job of this name")] = False,
    validate: Annotated[
        bool, typer.Option("--validate-only", help="let Dataflow look at it, and start nothing")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="print the request; nothing is sent")] = False,
) -> None:
    """Launch a template with the flags of its pipeline, which are looked at before anything is sent."""
    from tandem.runners.dataflow.templates.launching import TemplateLaunch, launched
    from tandem.runners.dataflow.templates.metadata import check_template
    from tandem.runners.dataflow.templates.parameters import parameters_of, wrong_parameters
    from tandem.runners.options.reading import read_arguments

    arguments = read_arguments(check_template(pipeline), context.args)
    environment, parameters = _environment(arguments), parameters_of(arguments)
    wrong = wrong_parameters(pipeline, parameters)
    if wrong:
        raise UserError("; ".join(wrong))
    launch = TemplateLaunch(
        project, region, job_name or f"tandem-{pipeline}", template, parameters, environment, update=update
    )
    if show:
        print_json({"url": launch.url, **launch.body(validate_only=validate)})
        return
    job = launched(launch, validate_only=validate)
    say(f"job {job.get('id', '')}".rstrip() if job else "Dataflow takes it; nothing was started")


def definition(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a definition (YAML)")],
    to: ToOption = None,
) -> None:
    """Write a definition with its Avro schemas in it, as one file that jobs elsewhere can read."""
    from tandem.runners.options.definitions import definition_text

    _put(definition_text(str(file)), to)


def _environment(arguments: Arguments) -> dict[str, Any]:
    """The job's environment from flags with Beam's names."""
    from tandem.runners.dataflow.templates.launching import ENVIRONMENT

    found = dict[str, Any]()
    for word in arguments.beam:
        name, equals, value = word.partition("=")
        dest = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or not (equals or ENVIRONMENT.get(dest, ("", str, ""))[1] is bool):
            raise UserError(f"{word[:80]}: flags of a template's launch are written --name=value")
        if dest not in ENVIRONMENT:
            raise UserError(f"{name}: neither a flag of this pipeline, nor one of {', '.join(sorted(ENVIRONMENT))}")
        key, kind, pattern = ENVIRONMENT[dest]
        if equals and not re.fullmatch(pattern, value):
            raise UserError(f"{name}={value[:80]!r}: it must fit {pattern}")
        found[key] = _typed(value, kind)
    return found


def _typed(value: str, kind: type) -> Any:
    if kind is bool:
        return value.lower() != "false"
    return value.split(",") if kind is list else kind(value)


def write_json(value: dict[str, Any], to: str | None) -> None:
    """Write JSON to stdout, a file, or an object of a bucket. Raises UserError, PlaceError."""
    _put(json.dumps(value, indent=1, ensure_ascii=False) + "\n", to)


def _put(text: str, to: str | None) -> None:
    """Write a text to stdout, a file, or an object of a bucket. Raises UserError, PlaceError."""
    from tandem.storage.fetching import put_text

    if to is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    put_text(text, to, "--to")
    say(to, err=True)
