"""A Gemini CLI that asks nobody: ACP on stdio and `-o stream-json`, as seen of @google/gemini-cli 0.61. Standard library alone.

Its own name says how it begins (`broken`, `mute`, `noacp`, else well), a marker in the prompt what it does: `[[show]]` tells
what it was given, `[[hang]]` waits to be cancelled, and so on, as `speak` has them. Like the real one it reads its system
prompt again for all sessions whenever one begins.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

NAME = Path(sys.argv[0]).stem
MARK = re.compile(r"\[\[(\w+)(?::([^\]]*))?\]\]")
READ = 1 << 26


class Refused(Exception):
    """An error of the model's: status, and what was said with it."""


def google(status: int, word: str, message: str) -> str:
    return json.dumps({"error": {"code": status, "message": message, "status": word}})


class Cli:
    def __init__(self) -> None:
        self.system = ""
        self.sessions: dict[str, Path] = {}
        self.cancelled: dict[str, asyncio.Event] = {}
        self.refused: dict[str, int] = {}
        self.active = 0
        self.ballast: list[bytes] = []

    def write(self, **message: Any) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    def update(self, session: str, kind: str, words: str) -> None:
        content = {"type": "text", "text": words}
        self.write(method="session/update", params={"sessionId": session, "update": {"sessionUpdate": kind, "content": content}})

    def say(self, session: str, words: str) -> None:
        self.update(session, "agent_message_chunk", words)

    async def serve(self) -> None:
        reader = asyncio.StreamReader(limit=READ)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        tasks = set[asyncio.Task[None]]()
        while line := await reader.readline():
            message = json.loads(line)
            tasks.add(asyncio.create_task(self.handle(message, message.get("params") or {})))

    async def handle(self, message: dict[str, Any], params: dict[str, Any]) -> None:
        method = message.get("method")
        if method == "initialize":
            if NAME != "mute":
                self.write(id=message["id"], result={"protocolVersion": 1, "agentCapabilities": {"loadSession": True}})
        elif method == "session/new":
            session = f"session-{len(self.sessions)}"
            self.sessions[session] = Path(params["cwd"])
            self.system = Path(os.environ["GEMINI_SYSTEM_MD"]).read_text()
            self.write(id=message["id"], result={"sessionId": session, "modes": {}})
            commands = {"sessionUpdate": "available_commands_update", "availableCommands": []}
            self.write(method="session/update", params={"sessionId": session, "update": commands})
        elif method == "session/cancel":
            self.cancelled[params["sessionId"]].set()
        elif method == "session/prompt":
            await self.prompt(message["id"], params["sessionId"], params["prompt"])

    async def prompt(self, id: int, session: str, blocks: list[dict[str, Any]]) -> None:
        self.cancelled[session] = asyncio.Event()
        self.active += 1
        try:
            usage = await self.speak(session, blocks)
        except Refused as error:
            self.write(id=id, error={"code": error.args[0], "message": error.args[1]})
        except asyncio.CancelledError:
            self.write(id=id, result={"stopReason": "cancelled"})
        else:
            count = {"input_tokens": usage[0], "output_tokens": usage[1]}
            meta = {"quota": {"token_count": count, "model_usage": []}}
            self.write(id=id, result={"stopReason": usage[2], "_meta": meta})
        finally:
            self.active -= 1

    async def speak(self, session: str, blocks: list[dict[str, Any]]) -> tuple[int, int, str]:
        """Says what the prompt's marker asks for. Returns tokens read and said, and why it stops."""
        text = "".join(block.get("text", "") for block in blocks)
        found = MARK.search(text)
        mark, argument = found.group(1, 2) if found else ("", "")
        match mark:
            case "show":
                self.say(session, json.dumps(self.shown(session, blocks)))
            case "think":
                self.update(session, "agent_thought_chunk", "**Plan**\nFirst look.")
                self.update(session, "agent_thought_chunk", "****\nThen leap.")
                self.update(session, "agent_thought_chunk", "**End**\nDone.")
                self.say(session, "42")
            case "refuse":
                status, _, word = (argument or "").partition(",")
                raise Refused(int(status), google(int(status), word, "told by the fake"))
            case "busy":  # so many times, then no more
                self.refused[text] = self.refused.get(text, 0) + 1
                if self.refused[text] <= int(argument or "99"):
                    raise Refused(429, "Quota exceeded.\nSuggested retry after 0.01s.")
                self.say(session, f"after {self.refused[text]}")
            case "tired" if text not in self.refused:  # refuses once, and then says nothing more
                self.refused[text] = 1
                raise Refused(429, "Quota exceeded.")
            case "tired":
                await self.misbehave("hang", session, text)
            case "meet":  # goes on once so many others are here
                many, _, folder = (argument or "").partition(",")
                Path(folder, f"{os.getpid()}-{session}").touch()
                while len(list(Path(folder).iterdir())) < int(many):
                    await asyncio.sleep(0.005)
                self.say(session, f"pid {os.getpid()}")
            case "empty" | "overflow":
                return 0, 0, "max_tokens" if mark == "overflow" else "end_turn"
            case _:
                await self.misbehave(mark, session, text)
        return len(text), 7, "end_turn"

    async def misbehave(self, mark: str, session: str, text: str) -> None:
        match mark:
            case "hang" | "half":
                if mark == "half":
                    self.say(session, "half a")
                await self.cancelled[session].wait()
                raise asyncio.CancelledError
            case "deaf" | "child":
                child = subprocess.Popen(["sleep", "1000"]) if mark == "child" else None
                self.say(session, f"{os.getpid()} {child.pid if child else 0}")
                await asyncio.Event().wait()
            case "crash":
                self.say(session, "half a")
                os._exit(3)
            case "die":
                os._exit(3)
            case "garbage":
                sys.stdout.write("this is no JSON\n")
                sys.stdout.flush()
            case "grow":
                self.ballast.append(b"x" * (64 << 20))
                self.say(session, str(os.getpid()))
            case "tool":
                update = {"sessionUpdate": "tool_call", "toolCallId": "1", "title": "ls"}
                self.write(method="session/update", params={"sessionId": session, "update": update})
            case "ask":
                self.write(id="mine", method="session/request_permission", params={"sessionId": session})
                self.say(session, "asked")
            case _:
                for word in ("You ", "said: ", text):
                    self.say(session, word)

    def shown(self, session: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
        folder = self.sessions[session]
        return {
            "system": self.system,
            "blocks": blocks,
            "settings": json.loads((folder / ".gemini/settings.json").read_text()),
            "own": json.loads((Path.home() / ".gemini/settings.json").read_text()),
            "files": sorted(path.name for path in folder.iterdir()),
            "env": dict(os.environ),
            "pid": os.getpid(),
            "group": os.getpgid(0),
            "active": self.active,
            "arguments": sys.argv[1:],
        }


async def once() -> int:
    """`-o stream-json`: the prompt on stdin, one answer, the exit code a status modulo 256."""
    text = sys.stdin.read()
    cli, session = Cli(), "only"
    cli.sessions[session], cli.cancelled[session] = Path.cwd(), asyncio.Event()
    cli.system = Path(os.environ["GEMINI_SYSTEM_MD"]).read_text()

    def write(**message: Any) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    cli.say = lambda session, words: write(type="message", role="assistant", content=words, delta=True)
    write(type="init", session_id=session)
    write(type="message", role="user", content=text)
    try:
        read, said, _ = await cli.speak(session, [{"type": "text", "text": text}])
    except Refused as error:
        write(type="result", status="error", error={"type": "unknown", "message": f"[API Error: {error.args[1]}]"})
        return error.args[0] % 256
    write(type="result", status="success", stats={"input_tokens": read, "output_tokens": said})
    return 0


def main() -> int:
    if NAME == "broken":
        print("Please set an Auth method", file=sys.stderr)
        return 41
    if "--acp" not in sys.argv:
        return asyncio.run(once())
    if NAME == "noacp":
        print("Unknown argument: acp", file=sys.stderr)
        return 1
    asyncio.run(Cli().serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
