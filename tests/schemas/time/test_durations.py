from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.time.durations import DAY, HOUR, MAX_DURATION, MINUTE, SECOND, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", 0),
        ("1us", 1),
        ("500ms", 500_000),
        ("1s", SECOND),
        ("90s", 90 * SECOND),
        ("5m", 5 * MINUTE),
        ("1h", HOUR),
        ("1h30m", HOUR + 30 * MINUTE),
        ("1d", DAY),
        ("2w", 14 * DAY),
        ("1w2d3h4m5s6ms7us", 9 * DAY + 3 * HOUR + 4 * MINUTE + 5 * SECOND + 6_007),
        ("36500d", MAX_DURATION),
    ],
)
def test_texts_that_are_durations(text: str, duration: int) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param(60, "60 has no unit", id="number"),
        pytest.param(1.5, "1.5 has no unit", id="float"),
        pytest.param(True, "True is not a duration", id="boolean"),
        pytest.param(None, "None is not a duration", id="nothing"),
        pytest.param("", "'' is not a duration", id="empty"),
        pytest.param("1", "'1' is not a duration", id="without unit"),
        pytest.param("1.5h", "'1.5h' is not a duration", id="fraction"),
        pytest.param("-1h", "'-1h' is not a duration", id="negative"),
        pytest.param("1 h", "'1 h' is not a duration", id="space"),
        pytest.param("1h\n", "'1h\\n' is not a duration", id="newline"),
        pytest.param("30m1h", "'30m1h' is not a duration", id="small before large"),
        pytest.param("1h1h", "'1h1h' is not a duration", id="unit twice"),
        pytest.param("1M", "'1M' is not a duration; write", id="unknown unit"),
        pytest.param("5 min", "'5 min' is not a duration; did you mean '5m'?", id="unit as a word"),
        pytest.param("1 Hour 30 minutes", "did you mean '1h30m'?", id="several words"),
        pytest.param("1 fortnight", "'1 fortnight' is not a duration; write", id="unknown word"),
        pytest.param("१h", "'१h' is not a duration", id="other digits"),
        pytest.param("36501d", "'36501d' is too long; at most 36500d", id="too long"),
        pytest.param("9" * 101 + "s", "is not a duration", id="too many digits"),
    ],
)
def test_what_is_not_a_duration(found: object, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse_duration(found)
    assert message in str(error.value)


@settings(derandomize=True)
@given(st.integers(0, MAX_DURATION))
def test_format_and_parse_are_inverse(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration


@settings(derandomize=True)
@given(
    st.integers(0, 10_000),
    st.sampled_from([("w", 7 * DAY), ("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)]),
)
def test_units_scale(number: int, unit: tuple[str, int]) -> None:
    if number * unit[1] <= MAX_DURATION:
        assert parse_duration(f"{number}{unit[0]}") == number * unit[1]


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0, "0s"), (36 * HOUR, "36h"), (90 * SECOND, "90s"), (DAY, "1d"), (28 * DAY, "28d"), (1, "1us")],
)
def test_the_shortest_text(duration: int, text: str) -> None:
    assert format_duration(duration) == text


def test_no_negative_duration() -> None:
    with pytest.raises(ValueError, match="negative: -1"):
        format_duration(-1)
