"""A small Flask app to serve: a made-up health insurer that quotes a yearly premium.

Run `cd examples && pronghorn fake_insurance_api:app`, then open http://127.0.0.1:8000.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, jsonify, render_template, request

REGIONS = {"northeast": 240.0, "northwest": 120.0, "southeast": 310.0, "southwest": 0.0}
EXAMPLE = {"age": 42, "bmi": 27.5, "smoker": False, "children": 2, "region": "southeast"}


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks for a quote; every field is within its bounds (see FIELDS)."""

    age: int
    bmi: float
    smoker: bool
    children: int
    region: str


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A reader of whole numbers from low to high; it raises ValueError with what is wanted."""

    def read(value: Any) -> int:
        # JSON's true is an int to Python, and an age of `true` is a mistake of the caller.
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return read


def number(low: float, high: float) -> Callable[[Any], float]:
    """A reader of finite numbers from low to high; it raises ValueError with what is wanted."""

    def read(value: Any) -> float:
        # Python's JSON reader also takes NaN and Infinity; NaN fails the comparison.
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(value)

    return read


def flag(value: Any) -> bool:
    """True or false; anything else raises ValueError."""
    if value is True or value is False:
        return bool(value)
    raise ValueError("must be true or false")


def region(value: Any) -> str:
    """The name of one of REGIONS; anything else raises ValueError."""
    if not isinstance(value, str) or value not in REGIONS:
        raise ValueError(f"must be one of {', '.join(REGIONS)}")
    return value


FIELDS: dict[str, Callable[[Any], Any]] = {
    "age": whole(18, 100),
    "bmi": number(10, 60),
    "smoker": flag,
    "children": whole(0, 12),
    "region": region,
}


def read_applicant(payload: Any) -> tuple[Applicant | None, dict[str, str]]:
    """The applicant that a JSON value describes, or None and what is wrong, by field."""
    if not isinstance(payload, dict):
        return None, {"body": "must be a JSON object, sent with Content-Type: application/json"}
    values: dict[str, Any] = {}
    errors = {name: "is not a field of a quote" for name in payload if name not in FIELDS}
    for name, read in FIELDS.items():
        if name not in payload:
            errors[name] = "is required"
            continue
        try:
            values[name] = read(payload[name])
        except ValueError as problem:
            errors[name] = str(problem)
    return (None, errors) if errors else (Applicant(**values), {})


def breakdown(applicant: Applicant) -> dict[str, float]:
    """What the yearly premium is made of, each part in whole cents of a dollar; their sum is the premium."""
    base = 1200.0
    age = 3.1 * (applicant.age - 18) ** 1.6
    weight = 95.0 * max(0.0, applicant.bmi - 25.0)
    parts = {
        "base": base,
        "age": age,
        "bmi": weight,
        "smoker": 1.4 * (base + age + weight) if applicant.smoker else 0.0,
        "children": 380.0 * math.sqrt(applicant.children),
        "region": REGIONS[applicant.region],
    }
    return {name: round(amount, 2) for name, amount in parts.items()}


app = Flask(__name__)


@app.get("/")
def index() -> str:
    """The page with the form."""
    return render_template("quote.html", regions=list(REGIONS), example=EXAMPLE)


@app.post("/predict")
def predict() -> tuple[Response, int]:
    """The premium of the applicant in the JSON body, or 400 and an error for each field."""
    applicant, errors = read_applicant(request.get_json(silent=True))
    if applicant is None:
        return jsonify(errors=errors), 400
    parts = breakdown(applicant)
    return jsonify(premium=round(sum(parts.values()), 2), currency="USD", period="year", breakdown=parts), 200


@app.get("/predict")
def explain() -> Response:
    """How to call POST /predict."""
    return jsonify(
        usage="POST a JSON object to this address; the answer is a yearly premium with its breakdown.",
        fields={
            "age": "whole number, 18 to 100, years",
            "bmi": "number, 10 to 60, kg/m2",
            "smoker": "true or false",
            "children": "whole number, 0 to 12",
            "region": f"one of {', '.join(REGIONS)}",
        },
        example=EXAMPLE,
    )


@app.get("/healthz")
def healthz() -> Response:
    """Whether the app can answer."""
    return jsonify(status="ok")
