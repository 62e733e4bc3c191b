"""What a launcher says of its job on another runner, each thing once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.runners.submission.job_news import JobNews, Standing

LATER = 2**60
NO_SLOTS = "org.apache.flink...NoResourceAvailableException: Could not acquire the minimum required resources."
EIGHT, SIX = "waits for slots: it needs 8", "waits for slots: it needs 6"


@dataclass
class JobObserver:
    """What it sees at each look."""

    standings: list[Standing]
    lines: list[str] = field(default_factory=list)

    def standing(self, name: str, options: PipelineOptions) -> Standing:
        return self.standings.pop(0)

    def failures(self, name: str, options: PipelineOptions, since: int) -> list[tuple[int, str]]:
        return [(max(since, LATER) + 1, self.lines.pop(0))] if self.lines else []


def told(capsys: pytest.CaptureFixture[str], standings: list[Standing], *lines: str) -> tuple[list[str], str | None]:
    news = JobNews("tandem-1", PipelineOptions([]), JobObserver(list(standings), list(lines)))
    for _ in standings:
        news.look()
    return [line.removeprefix("job tandem-1 ") for line in capsys.readouterr().err.splitlines()], news.waiting


@pytest.mark.parametrize(
    ("standings", "said", "waiting"),
    [
        pytest.param([Standing()] * 3, [], None, id="nothing"),
        pytest.param([Standing(EIGHT)], [], None, id="of-the-moment"),
        pytest.param([Standing(EIGHT), Standing(), Standing(EIGHT)], [], None, id="now-and-then"),
        pytest.param([Standing(EIGHT)] * 5, [EIGHT], EIGHT, id="once"),
        pytest.param([*[Standing(EIGHT)] * 2, *[Standing(SIX)] * 2], [EIGHT, SIX], SIX, id="numbers-change"),
        pytest.param([*[Standing(EIGHT)] * 3, Standing()], [EIGHT, "has its slots"], None, id="they-come"),
        pytest.param(
            [Standing(crowded="is on 1 of 2", spread="`a` spreads it")] * 4,
            ["is on 1 of 2; `a` spreads it"],
            None,
            id="crowded",
        ),
    ],
)
def test_what_is_said(
    standings: list[Standing], said: list[str], waiting: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, standings) == (said, waiting)


def test_a_failure_for_want_of_slots_is_told_with_numbers_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, [Standing(EIGHT)] * 3, *[NO_SLOTS] * 3)[0] == [EIGHT]
    assert told(capsys, [Standing()], NO_SLOTS)[0] == [f"failed and is restarted: {NO_SLOTS}"]
    assert told(capsys, [Standing(EIGHT)], "ValueError: bad")[0] == ["failed and is restarted: ValueError: bad"]
