"""The example app: quotes, and errors that name each wrong field."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from tests.support.process import Server

from pronghorn.testing import serve

EXAMPLES = Path(__file__).parents[2] / "examples"
APPLICANT: dict[str, Any] = {"age": 42, "bmi": 27.5, "smoker": False, "children": 2, "region": "southeast"}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """A client of the app, imported from its folder as the server does it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import fake_insurance_api

    with fake_insurance_api.app.test_client() as client:
        yield client
    sys.modules.pop("fake_insurance_api")


def premium(client: FlaskClient, **changes: Any) -> float:
    """The premium of the usual applicant with some fields changed."""
    answer = client.post("/predict", json=APPLICANT | changes)
    assert answer.status_code == 200, answer.text
    return float(answer.get_json()["premium"])


def errors(client: FlaskClient, payload: Any) -> dict[str, str]:
    """The errors that a JSON value gets."""
    answer = client.post("/predict", json=payload)
    assert answer.status_code == 400, answer.text
    found: dict[str, str] = answer.get_json()["errors"]
    return found


def test_page_has_a_form_for_every_field(client: FlaskClient) -> None:
    page = client.get("/")
    assert page.content_type == "text/html; charset=utf-8"
    assert all(f'name="{field}"' in page.text for field in APPLICANT)
    assert 'fetch("predict"' in page.text


def test_premium_is_the_sum_of_its_breakdown(client: FlaskClient) -> None:
    reply = client.post("/predict", json=APPLICANT).get_json()
    assert reply["premium"] == pytest.approx(sum(reply["breakdown"].values()))
    assert set(reply["breakdown"]) == {"base", *APPLICANT}


@pytest.mark.parametrize("risk", [{"age": 60}, {"bmi": 35}, {"smoker": True}, {"children": 4}])
def test_more_risk_costs_more(client: FlaskClient, risk: dict[str, Any]) -> None:
    assert premium(client, **risk) > premium(client)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("age", 17),
        ("age", 101),
        ("age", 42.5),
        ("age", True),
        ("age", "42"),
        ("bmi", 9.9),
        ("bmi", float("nan")),
        ("bmi", None),
        ("smoker", "no"),
        ("smoker", 1),
        ("children", -1),
        ("region", "atlantis"),
        ("region", []),
        ("shoe_size", 44),
    ],
)
def test_wrong_field_is_named_alone(client: FlaskClient, field: str, value: Any) -> None:
    assert list(errors(client, APPLICANT | {field: value})) == [field]


def test_all_missing_fields_are_reported_at_once(client: FlaskClient) -> None:
    assert errors(client, {}) == dict.fromkeys(APPLICANT, "is required")


@pytest.mark.parametrize("payload", [[], 7, "age", None])
def test_body_that_is_not_an_object(client: FlaskClient, payload: Any) -> None:
    assert list(errors(client, payload)) == ["body"]


@pytest.mark.parametrize(("body", "content_type"), [(b"{", "application/json"), (b"age=42", "text/plain"), (b"", None)])
def test_body_that_is_not_json(client: FlaskClient, body: bytes, content_type: str | None) -> None:
    answer = client.post("/predict", data=body, content_type=content_type)
    assert answer.status_code == 400
    assert list(answer.get_json()["errors"]) == ["body"]


def test_explanation_has_an_example_that_works(client: FlaskClient) -> None:
    reply = client.get("/predict").get_json()
    assert set(reply["fields"]) == set(APPLICANT)
    assert premium(client, **reply["example"]) > 0


def test_health(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200


def test_served_by_pronghorn(client: FlaskClient) -> None:
    with serve(client.application) as url, closing(HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request("GET", "/")
        assert b"<form" in connection.getresponse().read()
        connection.request("POST", "/predict", json.dumps(APPLICANT), {"Content-Type": "application/json"})
        assert json.load(connection.getresponse())["premium"] == premium(client)


def test_its_command_line_from_its_folder(tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    with Server(folder, "fake_insurance_api:app", bind=("0.0.0.0:0",)) as server:
        status, page = server.get("/")
        assert (status, "<form" in page) == (200, True)
        assert server.get("/healthz")[0] == 200
        assert re.search(r"listening on http://0\.0\.0\.0:\d+", server.text)
        assert server.stop() == 0
