"""Signatures that hold at one endpoint only, named after it: what Vertex sealed, AI Studio calls corrupted, and the other way.

A protocol's reader knows no host, so it names a signature after its protocol; who knows the host names it anew.
"""

from collections.abc import Iterable

import msgspec

from interlingua.ir import AnyEvent, AnyPart, PartDelta, PartStart, Response, Signature


def sealed_by(endpoint: str, protocol: str, batch: list[AnyEvent]) -> list[AnyEvent]:
    """A stream's batch with the signatures of `protocol` named after the endpoint."""
    for event in batch:
        if isinstance(event, PartStart):
            _rename(endpoint, protocol, (event.part,))
        elif isinstance(event, PartDelta) and event.signature is not None and event.signature.origin == protocol:
            event.signature = Signature(endpoint, event.signature.data)
    return batch


def seal_answer(endpoint: str, protocol: str, response: Response) -> Response:
    """The same of a whole answer."""
    for choice in response.choices:
        _rename(endpoint, protocol, choice.parts)
    return response


def _rename(endpoint: str, protocol: str, parts: Iterable[AnyPart]) -> None:
    for part in parts:
        if part.signature is not None and part.signature.origin == protocol:
            part.signature = msgspec.structs.replace(part.signature, origin=endpoint)
