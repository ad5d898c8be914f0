"""The vendors. Each is one file here, which knows its paths, keys, errors and wire, and what it refuses (`rules/`)."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Final

from msgspec import Struct

from interlingua.mock.wire import Call, Options, Refusal, Reply, Stream

# A path may be several vendors' own: the first that claims the call has it, and the last claims what is left.
NAMES: Final = ("bedrock", "azure", "vertex", "gemini", "anthropic", "responses", "openai")


class Vendor(Struct, frozen=True):
    """What a vendor's file offers as `VENDOR`.

    `claims` says whether a call is this vendor's, known path or not; `serve` answers it, or raises a Refusal or an Interruption;
    `refuse` gives a Refusal the vendor's status and shape.
    """

    name: str
    claims: Callable[[Call], bool]
    serve: Callable[[Call, Options], Reply | Stream]
    refuse: Callable[[Call, Refusal], Reply]


@cache
def vendors() -> tuple[Vendor, ...]:
    return tuple(import_module(f"{__name__}.{name}").VENDOR for name in NAMES)


def claimant(call: Call) -> Vendor:
    return next(vendor for vendor in vendors() if vendor.claims(call))
