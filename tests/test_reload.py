"""SIGHUP: the configuration is read again under way; a bad one changes nothing."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx2 as httpx

from interlingua.mock import MockServer

CONFIG = """
[backends.openai]
protocol = "openai"
url = "{url}"
api_key_env = "OPENAI_KEY"
[backends.openai.model_mapping]
"{name}" = "gpt-4o"
"""


async def told(process: asyncio.subprocess.Process, word: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(10):
        while word not in (line := (await process.stdout.readline()).decode()):
            assert line, f"it ended without {word!r}"
    return line


async def test_a_configuration_is_read_again_and_a_bad_one_refused(tmp_path: Path) -> None:
    file = tmp_path / "interlingua.toml"
    async with MockServer() as mock:
        file.write_text(CONFIG.format(url=mock.url, name="before"))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "interlingua", "serve", "--config", str(file), "--port", "0"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "OPENAI_KEY": "k"},
        )
        try:
            url = (await told(process, "listens on")).split()[-1]
            async with httpx.AsyncClient(base_url=url) as http:

                async def asked(model: str) -> int:
                    say = [{"role": "user", "content": "hi"}]
                    return (await http.post("/v1/chat/completions", json={"model": model, "messages": say})).status_code

                assert (await asked("before"), await asked("after")) == (200, 404)
                file.write_text(CONFIG.format(url=mock.url, name="after"))
                process.send_signal(signal.SIGHUP)
                await told(process, "was read again")
                assert (await asked("before"), await asked("after")) == (404, 200)
                file.write_text("[backends.openai]\nprotocol = 'telepathy'\n")
                process.send_signal(signal.SIGHUP)
                assert "backends.openai.protocol" in await told(process, "stays as it was")
                assert await asked("after") == 200
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
