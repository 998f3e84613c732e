"""A teacher behind an OpenAI-compatible endpoint, asked through the official client."""

from __future__ import annotations

import asyncio
import errno
import json
import random
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import openai

from mentor.errors import ConfigError, ModelError
from mentor.teach.reading import Collected, Unusable, read_completion
from mentor.teach.teacher import Reply, ReplyError, Request

__all__ = ["Endpoint"]

_OWN = ("model", "messages", "tools", "stream", "n", "max_tokens", "max_completion_tokens")
_FATAL = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)
_LONGEST_WAIT = 120.0  # seconds that the client waits at a server's wish
_FIRST_WAIT = 8.0  # seconds that a server which has never been reached may take to listen
_ADVICE = "; check the base URL (it ends in /v1 for most servers) and that the server runs"
_sent: ContextVar[list[int]] = ContextVar("sent")


class _OlderServer(Exception):
    """The server does not know the option that asks for the tokens of a stream."""


class Endpoint:
    """A model behind the chat completions API.

    What the network or the server spoils is tried again, with growing waits: 408, 409, 429 (as long as ``Retry-After``
    says, up to two minutes) and 5xx, timeouts and lost connections by the client, replies that are cut off or no JSON
    here. Both together are at most ``retries`` per request.

    Args:
        model: Name of the model.
        base_url: Address of the endpoint, such as ``http://127.0.0.1:8000/v1``; ``None`` for OpenAI's.
        api_key: The key; local servers take any.
        stream: Whether replies are streamed.
        timeout: Seconds that the server may be silent, and that a streamed reply may take.
        retries: Times that a request is tried again.
        temperature: Of the sampling; ``None`` leaves it out.
        token_field: Name of the limit of a reply's tokens; OpenAI's own models want ``max_completion_tokens``.
        extra: Further fields of the request, such as ``{"top_p": 0.9}``.

    Raises:
        ConfigError: An argument is out of its range.
    """

    paid = True

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str,
        stream: bool = False,
        timeout: float = 120.0,
        retries: int = 5,
        temperature: float | None = None,
        token_field: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if not model:
            raise ConfigError("model: the teacher's name is wanted, as the endpoint knows it")
        if not timeout > 0 or retries < 0:
            raise ConfigError("timeout must be above 0 and retries not below")
        for name in (*_OWN, token_field):
            if name in (extra or {}):
                raise ConfigError(f"extra: {name!r} is set by mentor itself")
        try:
            json.dumps(dict(extra or {}), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"extra: no JSON: {error}") from None
        api_key = api_key.strip()  # files that hold a key end in a newline
        if not (api_key.isascii() and api_key.isprintable()):
            raise ConfigError("api_key: it has characters that no header of HTTP takes; was it copied whole?")
        if base_url is not None:
            _check_address(base_url)
        self.name = model
        self.http_requests = 0
        self._usage = True
        self._stream, self._timeout, self._retries = stream, timeout, retries
        self._temperature, self._extra = temperature, dict(extra or {})
        self._field = token_field or ("max_completion_tokens" if base_url is None else "max_tokens")
        try:
            self._client = openai.AsyncOpenAI(
                base_url=base_url,
                api_key=api_key,
                timeout=timeout,
                http_client=openai.DefaultAsyncHttpxClient(event_hooks={"request": [self._count]}),
            )
        except (openai.OpenAIError, ImportError, ValueError, TypeError) as error:  # a proxy may want a package
            raise ConfigError(f"base_url: {error}") from error
        self._url = str(self._client.base_url).rstrip("/")
        self._reached = self._given_up_on = False
        self._reaching = asyncio.Lock()

    def settings(self) -> dict[str, Any]:
        """What decides its replies. The address is no part of it: the same model may be served elsewhere tomorrow."""
        return {"teacher": "endpoint", "model": self.name, "token_field": self._field, "extra": self._extra}

    def body(self, request: Request) -> dict[str, Any]:
        """What is sent, but for whether it is streamed."""
        body: dict[str, Any] = {"model": self.name, "messages": request.messages, self._field: request.max_tokens}
        if request.tools:
            body["tools"] = request.tools
        if self._temperature is not None:
            body["temperature"] = self._temperature
        return body | self._extra

    async def reply(self, request: Request) -> Reply:
        """Ask, and ask again where the reply was spoiled on its way.

        Raises:
            ReplyError: All tries failed, or the server refuses this request.
            ModelError: The server refuses whatever is asked: the key, the model, the quota.
        """
        await self._reach()
        body, tries = self.body(request), [0]
        token = _sent.set(tries)
        try:
            while True:
                left = self._retries - tries[0]
                before = tries[0]
                try:
                    # The client's own limits bound silence; this bounds a server that trickles.
                    longest = (max(left, 0) + 1) * (self._timeout + _LONGEST_WAIT)
                    return await asyncio.wait_for(self._once(body, max(left, 0)), longest)
                except _OlderServer:
                    tries[0] = before  # the request itself was not refused
                    continue
                except asyncio.TimeoutError:
                    raise ReplyError("timeout", f"no reply in {longest:.0f} s") from None
                except Unusable as error:
                    if tries[0] > self._retries:
                        raise ReplyError(error.reason, f"{error} ({_times(tries[0])})") from None
                await asyncio.sleep(min(0.5 * 2 ** max(before, 0), 8.0) * (1 - 0.25 * random.random()))
        finally:
            _sent.reset(token)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _reach(self) -> None:
        """Find out, before the first request, whether anything listens: patience is for servers that worked before.

        Only a refusal by the host counts; whatever else fails, the requests meet as well.
        """
        async with self._reaching:
            until = asyncio.get_running_loop().time() + (_FIRST_WAIT if self._retries else 0)
            while not self._reached:
                if not await _refused(self._url):
                    self._reached = True
                elif self._given_up_on or asyncio.get_running_loop().time() >= until:
                    self._given_up_on = True  # who waits for the lock need not try as long again
                    raise ModelError(f"nothing listens at {self._url}, the connection is refused{_ADVICE}")
                else:
                    await asyncio.sleep(0.5)

    async def _once(self, body: dict[str, Any], retries: int) -> Reply:
        client = self._client.with_options(max_retries=retries)
        known = {name: body[name] for name in ("model", "messages", "tools") if name in body}
        rest = {name: value for name, value in body.items() if name not in known}
        usage = self._usage  # as it was when this request was sent: others are under way
        try:
            if not self._stream:
                raw = await client.chat.completions.with_raw_response.create(**known, extra_body=rest)
                return read_completion(raw.http_response.content, raw.headers.get("content-type", ""))
            options: dict[str, Any] = {"stream": True}
            if usage:
                options["stream_options"] = {"include_usage": True}
            stream: Any = await client.chat.completions.create(**known, **options, extra_body=rest)
            return await asyncio.wait_for(_collect(stream, rest[self._field]), self._timeout)
        except asyncio.TimeoutError:
            raise Unusable("timeout", f"the streamed reply took longer than {self._timeout:g} s") from None
        except _FATAL as error:
            raise ModelError(f"the endpoint refuses all requests: {_told(error)}{_hint(error, self._url)}") from error
        except openai.RateLimitError as error:
            if error.code == "insufficient_quota":
                raise ModelError(f"the endpoint refuses all requests: {_told(error)}") from error
            raise self._given_up("rate limited", error) from error
        except openai.InternalServerError as error:
            raise self._given_up("server error", error) from error
        except openai.APIStatusError as error:
            if self._stream and usage and "stream_options" in _told(error):
                self._usage = False  # an older server: tokens are estimated
                raise _OlderServer from error
            raise ReplyError("refused", _told(error)) from error
        except openai.APITimeoutError as error:
            raise self._given_up("timeout", error) from error
        except openai.APIConnectionError as error:
            raise ReplyError(
                "connection lost", f"{self._url}: {_told(error)} ({_times(_sent.get()[0])}){_ADVICE}"
            ) from error

    def _given_up(self, reason: str, error: openai.APIError) -> ReplyError:
        return ReplyError(reason, f"{_told(error)} ({_times(_sent.get()[0])})")

    async def _count(self, request: object) -> None:
        self.http_requests += 1
        _sent.get([0])[0] += 1


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and not any(map(str.isspace, url))
    except ValueError:
        fine = False
    if not fine:
        raise ConfigError(f"base_url: {url!r} is no address; one looks like http://127.0.0.1:8000/v1")


async def _collect(stream: Any, max_tokens: int) -> Reply:
    """Put a streamed reply together."""
    collected = Collected(most=64 * max_tokens + 100_000)
    try:
        kind = stream.response.headers.get("content-type", "")
        if "json" in kind:  # a server that does not stream, or an error: either way what was paid for is read
            return read_completion(await stream.response.aread(), kind)
        if not kind.startswith("text/event-stream"):
            raise Unusable("no chat completion", f"a stream was asked for, {kind or 'something without a type'} came")
        async for chunk in stream:
            collected.add(chunk)
        return collected.reply()
    except openai.APITimeoutError as error:
        raise Unusable("timeout", _told(error)) from error
    except openai.APIConnectionError as error:
        raise Unusable("cut off", f"the connection broke within the reply: {_told(error)}") from error
    except openai.APIError as error:
        raise Unusable("server error", _told(error)) from error
    except (ValueError, RecursionError) as error:
        raise Unusable("broken JSON", f"a piece of the stream is no JSON: {error}") from error
    finally:
        await stream.close()


def _told(error: openai.APIError) -> str:
    """The server's words, on one line."""
    text = error.message
    if isinstance(error, openai.APIStatusError):
        body = error.body
        said = body.get("message") if isinstance(body, Mapping) else None
        text = f"{error.status_code} {said if isinstance(said, str) else error.message}"
    elif error.__cause__ is not None and str(error.__cause__):
        text = f"{error.message.rstrip('.')}: {error.__cause__}"
    text = " ".join(text.split())
    return text if len(text) <= 300 else text[:297] + "..."


def _hint(error: openai.APIStatusError, url: str) -> str:
    place = f"the base URL {url} (it ends in /v1 for most servers)"
    if isinstance(error, openai.NotFoundError):
        return f"; check the model's name and {place}"
    return f"; check the API key and {place}"


async def _refused(url: str) -> bool:
    """Whether the host refuses connections, as it does where nothing listens. A proxy is the client's affair."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxies = getproxies()
    if (parts.scheme in proxies or "all" in proxies) and not proxy_bypass(host):
        return False
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), _FIRST_WAIT)
    except asyncio.TimeoutError:
        return False
    except OSError as error:  # of a name with several addresses, the text is all that tells
        return f"[Errno {errno.ECONNREFUSED}]" in str(error)
    writer.close()
    return False


def _times(count: int) -> str:
    return "tried once" if count == 1 else f"tried {count} times"


def parse_extra(text: str) -> dict[str, Any]:
    """Further fields of a request, from the command line.

    Raises:
        ConfigError: The text is no JSON object.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"extra-body: no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError("extra-body: a JSON object is wanted, such as '{\"top_p\": 0.9}'")
    return found
