"""Options of a source that say how values are written: what is refused, description_of, and part of a version."""

from __future__ import annotations

import pytest

from tandem.schemas.definition.loading import loads
from tandem.schemas.definition.models import Definition
from tandem.schemas.errors import DefinitionError
from tandem.schemas.source.spellings import description_of

DEFINITION = """name: d
source:
  schema: {type: record, name: E, fields: [
    {name: id, type: string}, {name: t, type: {type: long, logicalType: timestamp-micros}}, {name: n, type: long},
    {name: day, type: ["null", {type: int, logicalType: date}], default: null}, {name: ok, type: boolean}]}
  format: json
  event_id: id
  event_time: t
  OPTIONS
key: []
tile: 1h
measures: {n: count}
"""


def definition(options: str) -> Definition:
    return loads(DEFINITION.replace("OPTIONS", options), "d.yaml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("zone: Berlin", "d.yaml:9: source.zone: 'Berlin' is not a time zone; did you mean 'Europe/Berlin'?"),
        ("time_format: ISO", "source.time_format: 'ISO' is no time_format; allowed: iso, epoch_seconds, epoch_millis"),
        ("time_format: '%d.%m.%Y %H:%M'", "source.time_format: 't' is a timestamp, and '%d.%m.%Y %H:%M' has no %z"),
        ("time_format: '%d.%m %H:%M'", "doesn't say the year once"),
        ("time_format: '%Y-%m %H'", "doesn't say the day once"),
        ("time_format: '%Y-%m-%d %I:%M'", "hours are %H, or %I with %p"),
        ("time_format: '%Y-%m-%d %Q'", "'%Q' is not known; known are"),
        ("time_format: '%Y-%m-%d %'", "'%' is not known"),
        ("time_format: '%Y-%m-%d %S'", "has %S without %M"),
        ("time_format: '%F %Y'", "'%Y' twice"),
        ("ambiguous: first", "source.ambiguous: found 'first'; allowed: 'reject', 'earlier', 'later'"),
        ("nulls: []", "source.nulls: 0 texts; allowed are 1 to 100"),
        ("nulls: [1.5]", "source.nulls[0]: found 1.5; must be a text"),
        ("booleans: {true: [Y]}", "source.booleans: 'false' is missing; required: true, false"),
        ("booleans: {true: [Y], false: [n, y]}", "'y' can't mean both true and false"),
        ("integers: loose", "source.integers: found 'loose'; allowed: 'digits', 'exact'"),
        ("values: {x: {zone: UTC}}", "source.values.x: unknown field 'x'"),
        ("values: {n: {zone: UTC}}", "source.values.n: 'zone' says nothing of 'n', which is"),
        ("values: {n: {tyme_format: iso}}", "unknown field 'tyme_format'; did you mean 'time_format'?"),
        ("values: {day: {time_format: '%d.%m.%Y %H:%M'}}", "'day' is a date, and '%d.%m.%Y %H:%M' has a time of day"),
        ("values: {day: {time_format: epoch_seconds}}", "'day' is a date; its time_format is iso or a pattern"),
    ],
)
def test_refused(options: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        definition(options)
    assert message in str(caught.value)
    assert str(caught.value).startswith("d.yaml:9: ")
    assert "\n" not in str(caught.value)


def test_words_and_whole_numbers_of_yaml_are_texts() -> None:
    found = definition("booleans: {true: [yes, 1, true], false: [no, 0]}\n  nulls: [null, -999, '', NA]").source
    assert found.spellings["ok"] == {
        "nulls": ["null", "-999", "", "NA"], "booleans": {"yes": ("yes", "1", "true"), "no": ("no", "0")}
    }  # fmt: skip
    assert definition("nulls: NA").source.nulls == ("NA",)


def test_what_matters_for_a_field_is_part_of_the_version_and_nothing_else_is() -> None:
    plain = definition("").version
    same = ["time_format: iso", "ambiguous: reject", "decimal: ','", "values: {}"]  # no field is a float or decimal
    assert definition(same[2]).version == definition(same[3]).version == plain
    others = ["zone: UTC", "zone: Europe/Berlin", "time_format: epoch_seconds", "nulls: NA", "nulls: [NA, '']"]
    others += ["integers: exact", "values: {n: {integers: exact}, day: {nulls: '-'}}"]
    assert len({plain, *(definition(one).version for one in others)}) == len(others) + 1
    assert definition("integers: exact").version == definition("values: {n: {integers: exact}}").version


@pytest.mark.parametrize(
    ("options", "field", "line"),
    [
        ("zone: UTC\n  ambiguous: later", "t", "t: ISO 8601 in UTC, the later one where clocks show it twice"),
        ("time_format: epoch_seconds", "t", "t: seconds since 1970"),
        ("booleans: {true: [Y], false: [N]}", "ok", "ok: true is also Y, false N"),
        ("integers: exact\n  nulls: [NA, '-']", "n", "n: whole numbers also as 1.0 and 1e3; 'NA', '-' are null"),
    ],
)  # fmt: skip
def test_told(options: str, field: str, line: str) -> None:
    assert description_of(field, definition(options).source.spellings[field]) == line
