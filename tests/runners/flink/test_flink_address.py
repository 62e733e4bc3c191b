"""What `--flink_master` may say."""

from __future__ import annotations

import pytest

from tandem.runners.flink.address import check_master
from tandem.runners.options.reading import read_arguments
from tandem.runners.submission.flags import arranged
from tandem.schemas.errors import LaunchError


@pytest.mark.parametrize(
    "master",
    ["localhost:8081", "[local]", "[auto]", "http://f:8081", "https://flink.example", "[::1]:8081", "f.example:1"],
)
def test_addresses(master: str) -> None:
    check_master(master)


@pytest.mark.parametrize(
    ("master", "why"),
    [
        pytest.param("localhost", "has no port", id="no-port"),
        pytest.param("localhost:", "has no port", id="empty-port"),
        pytest.param("localhost:0", "has no port", id="port-0"),
        pytest.param("localhost:80a1", "is no address", id="letters-in-a-port"),
        pytest.param("localhost:99999", "is no address", id="port-too-large"),
        pytest.param("localhost:-1", "is no address", id="port-below-zero"),
        pytest.param("[locl]", "is no address", id="typo"),
        pytest.param("[local", "is no address", id="half-a-bracket"),
        pytest.param("local]", "is no address", id="the-other-half"),
        pytest.param(":8081", "is no address", id="no-host"),
        pytest.param("", "is no address", id="nothing"),
        pytest.param("a b:8081", "is no address", id="a-space"),
        pytest.param("f:8081,g:8081", "is no address", id="two"),
        pytest.param("ftp://f:8081", "begins with ftp://", id="another-protocol"),
    ],
)
def test_what_is_none(master: str, why: str) -> None:
    with pytest.raises(LaunchError) as refused:
        check_master(master)
    assert str(refused.value).startswith(f"--flink_master: {master!r} {why}")


@pytest.mark.parametrize("pipeline", ["live", "backfill"])
def test_it_is_seen_before_anything_is_started_or_fetched(pipeline: str) -> None:
    with pytest.raises(LaunchError, match=r"'flink\.example:8o81' is no address"):
        arranged(read_arguments(pipeline, ["--runner=flink", "--flink_master=flink.example:8o81"]))
