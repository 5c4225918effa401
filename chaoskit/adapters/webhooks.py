"""WSGI and ASGI applications behind a webhook: each delivery is a signed request, and anything but 2xx comes again.

Applications are called as their server calls them, so that Flask, FastAPI and Django need nothing of their own here.
A `def` endpoint of Starlette or FastAPI, which their servers run in a pool of threads, runs in the thread that handles
the message, so that `Crash`, `Overlap` and `Fail` step into it.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs

from chaoskit.adapters.envelopes import sent_by, what_is_missing
from chaoskit.adapters.refusing import NotHandled
from chaoskit.adapters.serializing import Headers, Serializer, raw_value
from chaoskit.adapters.signatures import Sign, github, shopify, slack, slack_event, standard, stripe, stripe_event
from chaoskit.execution.own_thread import in_own_thread
from chaoskit.execution.retried import Final, as_final
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message

__all__ = ["asgi", "github", "shopify", "slack", "slack_event", "standard", "stripe", "stripe_event", "wsgi"]

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
Asgi = Callable[[Any, Any, Any], Awaitable[None]]

HOST = "localhost"
"""Django allows it while it debugs; another one is a header: `headers=lambda message: {"Host": "testserver"}`."""


def wsgi(
    app: Wsgi,
    path: str | None = None,
    *,
    sign: Sign | None = None,
    body: Callable[[Message], Any] | None = None,
    serializer: Serializer | None = None,
    headers: Headers | None = None,
) -> Callable[[Message], None]:
    """A WSGI application, such as Flask's or Django's: `deliver(wsgi(app, "/stripe", sign=stripe(secret)))`.

    Each delivery is a POST to `path`, the broker's `endpoint` by default. `body(message)` is what the provider sends of
    an event, its value by default, as JSON or as `serializer` makes it; `sign(message, bytes)` and `headers(message)`
    give headers. Raises what the application raises, and `NotHandled` for an answer that is not 2xx; UsageError where
    it takes nothing that is signed as a provider's and has not what that provider sends.
    """
    answered = _Answered()

    def handle(message: Message) -> None:
        request = _request(message, path, sign, body, serializer, headers)
        answered.judge(request, _call_wsgi(app, request))

    return handle


def asgi(
    app: Asgi,
    path: str | None = None,
    *,
    sign: Sign | None = None,
    body: Callable[[Message], Any] | None = None,
    serializer: Serializer | None = None,
    headers: Headers | None = None,
) -> Callable[[Message], Awaitable[None]]:
    """An ASGI application, such as FastAPI's, in an async test on asyncio: `await deliver(asgi(app, "/stripe", …))`.

    It takes what `wsgi` takes. An answer counts when it was sent, so that a background task that fails behind it is
    not tried again. The application's lifespan is the test's: `async with app.router.lifespan_context(app):`.
    """
    answered = _Answered()

    async def handle(message: Message) -> None:
        request = _request(message, path, sign, body, serializer, headers)
        with in_own_thread():
            answer = await _call_asgi(app, request)
        answered.judge(request, answer)

    return handle


@attrs.frozen
class _Request:
    """`lacks`: what its provider would have sent, and this has not."""

    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    lacks: str


@attrs.frozen
class _Answer:
    """`error`: what the application raised, whatever it had answered; `sent` tells whether all of an answer was.
    `wants_no_retry`: it asks Slack not to try again."""

    status: int
    wants_no_retry: bool
    text: str
    sent: bool
    error: Exception | None


NO_RETRY = "x-slack-no-retry"
"""The header with which an endpoint that fails says to Slack that the event need not come again."""

NEVER_2XX = (
    "No request was answered with 2xx: check the path ({path}), sign=, which needs the endpoint's secret, and body=, "
    "which makes of the value what the provider sends"
)
"""Where the request itself seems to be refused, and not one event."""


class _Answered:
    """The provider's judgement. What fails behind an answer of 2xx is final: for the provider all went well."""

    def __init__(self) -> None:
        self._has_settled = False

    def judge(self, request: _Request, answer: _Answer) -> None:
        settled = answer.sent and 200 <= answer.status < 300
        if request.lacks and not settled and not self._has_settled:
            raised = answer.error
            came = f"HTTP {answer.status}" if raised is None else f"{type(raised).__name__}: {raised}"
            raise UsageError(f"the endpoint took no request ({came}): {request.lacks}") from raised
        self._has_settled = self._has_settled or settled
        if answer.wants_no_retry and answer.sent and not settled:
            asked = NotHandled(f"HTTP {answer.status}, and {NO_RETRY}: {answer.text}")
            raise as_final(answer.error or asked, Final("webhook.no_retry", used_up=False))
        if answer.error is not None:
            raise as_final(answer.error, Final("webhook", used_up=False)) if settled else answer.error
        if not settled:
            never = answer.sent and not self._has_settled and answer.status < 500
            raise NotHandled(
                f"HTTP {answer.status}: {answer.text}" if answer.sent else "the application gave no answer",
                NEVER_2XX.format(path=request.path) if never else "",
            )


def _request(
    message: Message,
    path: str | None,
    sign: Sign | None,
    body: Callable[[Message], Any] | None,
    serializer: Serializer | None,
    headers: Headers | None,
) -> _Request:
    value = sent_by(sign, message) if body is None else body(message)
    sent = raw_value(value, serializer)
    where, _, query = (path or message.topic or "/").partition("?")
    told = {
        "Host": HOST,
        "Content-Type": "application/json",
        "Content-Length": str(len(sent)),
        **({} if sign is None else sign(message, sent)),
        **({} if headers is None else headers(message)),
    }
    return _Request(where, query, told, sent, what_is_missing(sign, value))


# WSGI.


def _call_wsgi(app: Wsgi, request: _Request) -> _Answer:
    status, no_retry, sent = 0, False, False
    parts: list[bytes] = []
    error: Exception | None = None

    def start_response(line: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        nonlocal status, no_retry
        status, no_retry = int(line.split()[0]), any(name.lower() == NO_RETRY for name, _ in headers)
        return parts.append

    try:
        chunks = app(_environ(request), start_response)
        try:
            parts.extend(chunks)
            sent = status > 0
        finally:
            # What is to be done behind the answer is done here.
            if hasattr(chunks, "close"):
                chunks.close()
    except Exception as raised:  # noqa: BLE001 - an application may fail with anything
        error = raised
    return _Answer(status, no_retry, _shown(parts), sent, error)


def _environ(request: _Request) -> dict[str, Any]:
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        # As bytes in Latin-1: PEP 3333.
        "PATH_INFO": request.path.encode().decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_NAME": HOST,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.pop("HTTP_CONTENT_TYPE"),
        "CONTENT_LENGTH": headers.pop("HTTP_CONTENT_LENGTH"),
        **headers,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


# ASGI.


async def _call_asgi(app: Asgi, request: _Request) -> _Answer:
    status, no_retry, sent = 0, False, False
    parts: list[bytes] = []
    error: Exception | None = None
    requests = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not requests:
            await asyncio.Event().wait()  # the provider waits for its answer, and does not hang up
        return requests.pop()

    async def send(event: dict[str, Any]) -> None:
        nonlocal status, no_retry, sent
        if event["type"] == "http.response.start":
            status = event["status"]
            no_retry = any(bytes(name).decode("latin-1").lower() == NO_RETRY for name, _ in event.get("headers", ()))
        elif event["type"] == "http.response.body":
            parts.append(event.get("body", b""))
            sent = not event.get("more_body", False)

    try:
        await app(_scope(request), receive, send)
    except Exception as raised:  # noqa: BLE001 - an application may fail with anything
        error = raised
    return _Answer(status, no_retry, _shown(parts), sent, error)


def _scope(request: _Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
        "client": ("127.0.0.1", 123),
        "server": (HOST, 80),
        "state": {},
    }


def _shown(parts: list[bytes]) -> str:
    """The beginning of an answer, on one line."""
    text = b"".join(parts)[:400].decode(errors="replace")
    return " ".join(text.split())[:200]
