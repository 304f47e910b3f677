"""Problems: their codes and titles are this project's own, whatever the standard library calls a status."""

from __future__ import annotations

import json

import pytest

from twinlock.io.http.problems import STATUS_CODES, STATUS_TITLES, problem


@pytest.mark.parametrize(
    ("status", "title"),
    [
        # What Python 3.13 calls otherwise.
        (413, "Request Entity Too Large"),
        (414, "Request-URI Too Long"),
        (416, "Requested Range Not Satisfiable"),
        (422, "Unprocessable Entity"),
        # What the standard library does not know.
        (499, "Refused"),
        (599, "Failed"),
    ],
)
def test_a_title_is_the_same_on_every_python(status: int, title: str) -> None:
    body = problem(status, code="x", detail="y").body
    assert isinstance(body, bytes)
    assert json.loads(body)["title"] == title


def test_every_status_with_a_code_has_a_title() -> None:
    assert STATUS_CODES.keys() <= STATUS_TITLES.keys()
