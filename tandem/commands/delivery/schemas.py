"""`tandem results schema|register|table`: the schema of a result's messages, for receivers, Pub/Sub, BigQuery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.named import DefinitionArgument, is_file_name, load_named
from tandem.pipelines.console.printing import print_json, say
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition

__all__ = ["register", "schema", "table"]

_Result = Annotated[str, typer.Argument(metavar="RESULT", help="its name in the definition")]
_FORMATS = ("avro", "json")


def schema(
    definition: DefinitionArgument,
    result: _Result,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="avro, or json: a JSON Schema")] = "avro",
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Print the schema of a result's messages."""
    if form not in _FORMATS:
        raise UserError(f"--format {form}: the schema is {' or '.join(_FORMATS)}")
    compiled = _compiled(definition, result, home, store)
    from tandem.schemas.result_messages.avro import avro_schema
    from tandem.schemas.result_messages.json_schema import message_json_schema

    made = avro_schema if form == "avro" else message_json_schema
    print_json(made(compiled, result))


def register(
    definition: DefinitionArgument,
    result: _Result,
    name: Annotated[str, typer.Option("--schema", metavar="SCHEMA", help="projects/PROJECT/schemas/NAME")],
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Register the Avro schema of a result's messages in Pub/Sub, and let its topics have it."""
    from tandem.commands.platforms.pubsub import check_name, once_there, pubsub_errors

    check_name(name, "schemas")
    compiled = _compiled(definition, result, home, store)
    from tandem.pipelines.delivery.registration import avro_topics, register_schema

    if not avro_topics(compiled, result):
        raise UserError(f"{result} goes to no topic as Avro; write to: {{pubsub: TOPIC, format: avro}}")
    with pubsub_errors(name):
        for line in register_schema(compiled, result, name, once_there()):
            say(line)


def table(
    definition: DefinitionArgument,
    result: _Result,
    create: Annotated[bool, typer.Option("--create", help="make the tables and views, or add columns to them")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Print the tables of BigQuery that a result goes to, with their views; or make them."""
    compiled = _compiled(definition, result, home, store)
    from tandem.pipelines.delivery.result_views import table_resources
    from tandem.storage.bigquery import check_installed

    resources = table_resources(compiled, result)
    if not resources:
        raise UserError(f"{result} goes to no table; write to: {{bigquery: PROJECT.DATASET.TABLE}}")
    if not create:
        print_json(resources)
        return
    check_installed()
    from tandem.pipelines.delivery.table_registration import register_tables

    for line in register_tables(resources):
        say(line)


def _compiled(definition: str, result: str, home: str, store: str | None) -> CompiledDefinition:
    from tandem.schemas.definition.compiled import compile_definition
    from tandem.schemas.definition.loading import load

    if is_file_name(definition):
        found = load(Path(definition))
    else:
        with existing_store(Home.of(home, store)) as views:
            found = load_named(definition, views)
    if result not in found.results:
        known = f"it has {', '.join(found.results)}" if found.results else "it has none"
        raise UserError(f"{found.name} has no result {result!r}: {known}")
    return compile_definition(found)
