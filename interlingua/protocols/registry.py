"""Every protocol by its name, and every wire format of embeddings. Adding one is one package, or module, and one line here."""

from typing import Final, cast

from interlingua.protocols import Protocol, anthropic, bedrock, gemini, openai, responses, simple
from interlingua.protocols.bedrock import cohere, titan
from interlingua.protocols.embedding import Wire
from interlingua.protocols.gemini import embeddings as gemini_embeddings
from interlingua.protocols.gemini import predict
from interlingua.protocols.openai import embeddings as openai_embeddings

PROTOCOLS: Final[dict[str, Protocol]] = {
    "anthropic": cast(Protocol, anthropic),
    "bedrock": cast(Protocol, bedrock),
    "gemini": cast(Protocol, gemini),
    "openai": cast(Protocol, openai),
    "responses": cast(Protocol, responses),
}
CLIENTS: Final[dict[str, Protocol]] = {**PROTOCOLS, "simple": cast(Protocol, simple)}  # and the one no provider speaks
EMBEDDINGS: Final[dict[str, Wire]] = {
    "cohere": cast(Wire, cohere),
    "gemini": cast(Wire, gemini_embeddings),
    "openai": cast(Wire, openai_embeddings),
    "predict": cast(Wire, predict),
    "titan": cast(Wire, titan),
}
