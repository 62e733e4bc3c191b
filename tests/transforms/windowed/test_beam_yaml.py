"""The windowed transforms in pipelines of Beam YAML, run by Beam YAML itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apache_beam.transforms.window import FixedWindows, Sessions, SlidingWindows
from apache_beam.yaml import main

from tandem.runners.submission.launching import FN_API_RUNNER
from tandem.schemas.errors import DefinitionError
from tandem.transforms.windowed import CalendarWindows, beam_yaml_provider, window_into
from tandem.transforms.windowed.beam_yaml import windowed_measures

PIPELINE = """
providers:
  - include: PROVIDER
pipeline:
  type: composite
  transforms:
    - type: Create
      name: Clicks
      config:
        elements:
          - {page: home, at: 1, amount: 1.5, id: a}
          - {page: home, at: 1, amount: 1.5, id: a}
          - {page: home, at: 59, amount: 2.0, id: b}
          - {page: home, at: 61, amount: 4.0, id: c}
          - {page: away, at: 2, amount: 8.0, id: d}
          - {page: away, at: -1.0e+300, amount: 8.0, id: e}
    - type: WindowedMeasures
      name: Pages
      input: Clicks
      config:
        keys: [page]
        measures: {clicks: count, total: {sum: amount}, most: {top_k: id, k: 1}}
        fields: {page: string, at: number, amount: number, id: string}
        event_time: at
        event_id: id
        deduplicate: true
        window: 1m
        error_handling: {output: bad}
    - type: MapToFields
      name: Told
      input: Pages
      config:
        language: python
        fields: {line: "f'{page} {int(window_start)} {clicks} {total} {most[0].value}'"}
    - type: WriteToText
      name: Good
      input: Told
      config: {path: OUT/good}
    - type: MapToFields
      name: Why
      input: Pages.bad
      config:
        language: python
        fields: {line: "msg + ' ' + element"}
    - type: WriteToText
      name: Bad
      input: Why
      config: {path: OUT/bad}
"""


def written(folder: Path, name: str) -> list[str]:
    return sorted(line for path in folder.glob(f"{name}*") for line in path.read_text().splitlines())


def test_a_pipeline(tmp_path: Path) -> None:
    text = PIPELINE.replace("OUT", str(tmp_path)).replace("PROVIDER", beam_yaml_provider())
    main.run([f"--yaml_pipeline={text}", f"--runner={FN_API_RUNNER}"])
    assert written(tmp_path, "good") == ["away 0 1 8.0 d", "home 0 2 3.5 a", "home 60 1 4.0 c"]
    (bad,) = written(tmp_path, "bad")
    assert bad.startswith("at is outside the years 1 to 9999 {")
    assert '"id": "e"' in bad


@pytest.mark.parametrize(
    ("spelled", "shown"),
    [
        pytest.param({"window": None}, "GlobalWindows", id="all-time"),
        pytest.param({"window": "1m"}, "FixedWindows(60", id="fixed"),
        pytest.param({"window": {"size": "1h", "every": "5m"}}, "SlidingWindows(3600, 300", id="sliding"),
        pytest.param({"window": {"session": "30m"}}, "Sessions(1800", id="session"),
        pytest.param(
            {"window": {"calendar": "month", "zone": "Europe/Berlin"}},
            "CalendarWindows(month, Europe/Berlin)",
            id="calendar",
        ),
    ],
)
def test_windows_are_spelt_as_in_a_definition(spelled: dict[str, Any], shown: str) -> None:
    assert described(window_into(**spelled).windowing.windowfn).startswith(shown)


def described(windows: Any) -> str:
    match windows:
        case FixedWindows():
            return f"FixedWindows({windows.size.micros // 10**6}"
        case SlidingWindows():
            return f"SlidingWindows({windows.size.micros // 10**6}, {windows.period.micros // 10**6}"
        case Sessions():
            return f"Sessions({windows.gap_size.micros // 10**6}"
        case CalendarWindows():
            return repr(windows)
    return type(windows).__name__


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        pytest.param({"window": "1 minute"}, "window.size: ", id="duration"),
        pytest.param({"window": {"calendar": "day", "zone": "Berlin"}}, "did you mean 'Europe/Berlin'?", id="zone"),
        pytest.param({"window": {"size": "1m", "every": "2m"}}, "window.every: ", id="gaps"),
        pytest.param({"window": {"since": "day"}}, "window.since: cumulative windows have no end", id="cumulative"),
        pytest.param({"window": "1m", "mode": "retracting"}, "mode: 'retracting' is not allowed", id="mode"),
        pytest.param({"window": "1m", "early": "soon"}, "early: ", id="early"),
        pytest.param({"window": "1m", "lateness": "1"}, "lateness: ", id="lateness"),
    ],
)
def test_windows_that_are_none(spelled: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        window_into(**spelled)
    assert message in str(refused.value)


def test_a_trigger_without_a_window_is_refused() -> None:
    with pytest.raises(DefinitionError, match="early, late, lateness and mode are of a window"):
        windowed_measures({"n": "count"}, early="10s")
