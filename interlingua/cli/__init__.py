"""The Gemini CLI as a backend: long-lived processes that are spoken to over stdio, behind the face of any other provider.

One room, from the wire up: `acp` (lines), `prompt` and `telling` (the IR in and out), `worker` (a process), `pool`, `provider`.
Nothing here is a wire format that a client could speak, and nothing of it touches the home of whoever runs the gateway.
"""

from interlingua.cli.provider import CliProvider

__all__ = ["CliProvider"]
