"""The client against real servers on loopback that fail in every way there is, on both event loops."""

import asyncio
import base64
import contextlib
import gzip
import inspect
import os
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from math import inf
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.client import Client, Origin, Proxies, Reply, Timeouts
from interlingua.client.connection import Connection, Limits, Pool
from interlingua.client.origins import bypassed
from interlingua.errors import (
    ConfigError,
    InvalidRequest,
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)

SECRET = "sk-very-secret"
HEADERS = f"authorization: Bearer {SECRET}\r\n".encode()
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
PATIENT = Timeouts(connect=5, first_byte=5, idle=5)
LIMIT = 1 << 20


def both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test on asyncio's own loop and on uvloop; whatever it leaves behind is a failure."""

    async def tidy(**arguments: Any) -> None:
        await asyncio.wait_for(test(**arguments), 20)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def run(new_loop: Callable[[], asyncio.AbstractEventLoop], **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(tidy(**arguments))

    parameters = [inspect.Parameter("new_loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    run.__signature__ = inspect.Signature([*parameters, *inspect.signature(test).parameters.values()])  # type: ignore[attr-defined]
    run.__name__ = test.__name__
    return pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])(run)
