"""Whatever is sent to the paths of the OpenAPI document, they answer as it says: a short form of `make fuzz-api`."""

from __future__ import annotations

import re
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from servers.web import Web

TEXTS = st.one_of(
    st.sampled_from(
        [
            "orders", "mill,EUR", "day", "1h", "2026-01-05", "2026-01-06T00:00:00+00:00", "ever", "UTC", "amount", "0",
            "1", "-1", "[]", "[null,1]", "events > 0", "csv", "true", "monday", "Europe/Berlin", "P1D", "1e400",
        ]
    ),
    st.text(max_size=30),
)  # fmt: skip


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, what the document says), without those that never end."""
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not path.endswith("events")
    ]


def test_the_document_has_every_path_with_its_problems(asked: Web) -> None:
    document = asked.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for method, path, operation in operations(document):
        assert operation["summary"], path
        if path.startswith("/api/"):
            assert {"400", "401", "403", "404", "503"} <= {*operation["responses"]}, (method, path)
            problems = operation["responses"]["400"]["content"]
            assert list(problems) == ["application/problem+json"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_answers_are_as_the_document_says(asked: Web, data: st.DataObject) -> None:
    document = asked.get("/openapi.json").json()
    method, path, operation = data.draw(st.sampled_from(operations(document)))
    given_names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    parameters = data.draw(st.dictionaries(st.sampled_from([*given_names, "other"]), TEXTS, max_size=6))
    filled = re.sub(
        r"\{(\w+)(:path)?\}", lambda _: data.draw(st.sampled_from(["orders", "1", "x%23y", "%00", "nothing"])), path
    )
    body = {"json": data.draw(st.dictionaries(TEXTS, TEXTS, max_size=3))} if method == "POST" else {}
    response = asked.send(method, filled, params=parameters, **body)
    assert str(response.status_code) in operation["responses"], (method, filled, parameters, response.text)
    assert response.status_code < 500 or response.status_code == 503
    told = operation["responses"][str(response.status_code)].get("content", {})
    kind = response.headers.get("content-type", "").partition(";")[0]
    assert kind in told or not told, (filled, kind)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/fresh", "/metrics"])
def test_paths_of_operators_are_in_it(asked: Web, path: str) -> None:
    assert path in asked.get("/openapi.json").json()["paths"]
