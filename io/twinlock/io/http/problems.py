"""Problems: how every server of this project reports a failed request (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from aiohttp import web

RETRY_AFTER_S = 5

STATUS_CODES = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "request-timeout",
    409: "conflict",
    411: "length-required",
    412: "precondition-failed",
    413: "request-entity-too-large",
    414: "request-uri-too-long",
    415: "unsupported-media-type",
    416: "requested-range-not-satisfiable",
    417: "expectation-failed",
    426: "upgrade-required",
    429: "too-many-requests",
    431: "request-header-fields-too-large",
    500: "internal",
    501: "not-implemented",
    503: "service-unavailable",
}
"""The code of a bare HTTP status. Listed here because the standard library changes its phrases between versions."""

STATUS_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Requested Range Not Satisfiable",
    417: "Expectation Failed",
    422: "Unprocessable Entity",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
"""The title of a problem of that HTTP status, written down as its code is."""


def problem(
    status: int,
    *,
    code: str,
    detail: str,
    title: str | None = None,
    headers: dict[str, str] | None = None,
    **members: Any,
) -> web.Response:
    """An RFC 9457 problem. ``code`` is stable; ``members`` are extension members holding plain JSON values.

    One of status 503 states when to retry.
    """
    body = {
        "type": f"urn:twinlock:problem:{code}",
        "title": title
        or STATUS_TITLES.get(status, "Refused" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "Failed"),
        "status": int(status),
        "detail": detail,
        "code": code,
        **members,
    }
    retry = {"Retry-After": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", **retry, **(headers or {})},
    )


def problem_code(response: web.StreamResponse) -> str | None:
    """The code of an answer that is a problem; None for any other."""
    if not isinstance(response, web.Response) or response.content_type != "application/problem+json":
        return None
    body = response.body
    return str(json.loads(body)["code"]) if isinstance(body, bytes) else None
