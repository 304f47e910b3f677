"""The manners that both servers share: every failure is a problem, and the server lives on."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from twinlock.repository.serving.http import add_health, problems, serve_until_stopped, serving
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import ConflictError, FetchError, PassphraseError, StorageError
from twinlock.trust.errors.metadata import MalformedError, RollbackError

ROLLBACK = RollbackError(repository="image", role="root", offered=1, trusted=2)


def get(error: BaseException, path: str = "/") -> tuple[int, str, dict[str, Any]]:
    """Status, content type and body of the answer of a handler that raises ``error``."""

    async def handler(_: web.Request) -> web.Response:
        raise error

    async def main() -> tuple[int, str, dict[str, Any]]:
        app = web.Application(middlewares=[problems])
        app.router.add_get("/", handler)
        add_health(app)
        async with serving(app) as server, aiohttp.ClientSession() as session:
            async with session.get(server.url + path) as response:
                answer = response.status, response.content_type, json.loads(await response.read())
            async with session.get(server.url + "/livez") as response:
                assert response.status == 200
            return answer

    return asyncio.run(main())


def test_codes_of_bare_statuses_are_ours_and_not_the_standard_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HTTPStatus(413), "phrase", "Words of Another Release")
    _, _, body = get(web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2))
    assert body["code"] == "request-entity-too-large"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ROLLBACK, 422, "rollback"),
        (MalformedError(what="x", json_path="$", reason="y"), 400, "malformed"),
        (EndlessDataError(what="x", limit_bytes=5), 413, "endless-data"),
        (UsageError(reason="no"), 400, "usage"),
        (ConflictError(what="x", reason="y"), 409, "conflict"),
        (FetchError(url="http://x", status=500, reason="y"), 502, "fetch"),
        (PassphraseError(path="/secret/path"), 503, "passphrase"),
        (web.HTTPNotFound(), 404, "not-found"),
        (web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2), 413, "request-entity-too-large"),
        (ZeroDivisionError("secret"), 500, "internal"),
    ],
)
def test_every_failure_is_a_problem_with_a_stable_code(error: Exception, status: int, code: str) -> None:
    found, content_type, body = get(error)
    assert (found, content_type) == (status, "application/problem+json")
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:twinlock:problem:{code}")
    assert body["title"]
    assert "secret" not in body["detail"] or code == "passphrase"


def test_a_refusal_tells_its_attack_clause_and_fields() -> None:
    _, _, body = get(ROLLBACK)
    assert body["attack"] == "rollback"
    assert body["clause"] == ROLLBACK.clause
    assert body["fields"] == {"repository": "image", "role": "root", "offered": 1, "trusted": 2}
    assert body["detail"] == str(ROLLBACK)


def test_paths_of_the_server_are_not_told() -> None:
    status, _, body = get(StorageError(path="/srv/keys/root.pem", operation="read", reason="Permission denied"))
    assert status == 503
    assert "/srv" not in json.dumps(body)


def test_an_address_that_cannot_be_bound_is_a_usage_error() -> None:
    async def main() -> None:
        async with serving(web.Application()) as server:
            with pytest.raises(UsageError) as caught:
                async with serving(web.Application(), port=server.port):
                    pass
            assert str(server.port) in caught.value.reason

    asyncio.run(main())


def test_running_requests_are_finished_before_the_server_ends() -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return web.Response(text="done")

    async def main() -> str:
        app = web.Application()
        app.router.add_get("/", slow)
        stop = asyncio.Event()
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server = asyncio.create_task(serve_until_stopped(app, stop=stop, started=lambda it: url.set_result(it.url)))
        async with aiohttp.ClientSession() as session:
            request = asyncio.create_task(session.get(await url))
            await asyncio.sleep(0.05)
            stop.set()
            response = await request
            text = await response.text()
        await server
        return text

    assert asyncio.run(main()) == "done"


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    async def main() -> str:
        async with serving(web.Application()) as server:
            return server.url

    assert asyncio.run(main()).startswith("http://127.0.0.1:")
