"""Every protocol by its name. Adding one is one package beside this file and one line here."""

from typing import Final, cast

from interlingua.protocols import Protocol, anthropic, bedrock, gemini, openai, responses

PROTOCOLS: Final[dict[str, Protocol]] = {
    "anthropic": cast(Protocol, anthropic),
    "bedrock": cast(Protocol, bedrock),
    "gemini": cast(Protocol, gemini),
    "openai": cast(Protocol, openai),
    "responses": cast(Protocol, responses),
}
