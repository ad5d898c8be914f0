"""Every protocol by its name. Adding one is one package beside this file and one line here."""

from typing import Final, cast

from interlingua.protocols import Protocol, openai

PROTOCOLS: Final[dict[str, Protocol]] = {
    "openai": cast(Protocol, openai),
}
