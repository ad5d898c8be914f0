"""`previous_response_id` against any provider: answers to Responses clients are kept, and a conversation told anew.

A provider that speaks Responses itself may know an id that we do not: then the request goes on as it came.
"""

from collections.abc import Awaitable, Callable

import msgspec

from interlingua.ir import Request, Response
from interlingua.pipeline import Answer, Call, Handler
from interlingua.protocols.responses.names import answer_id
from interlingua.store import OWN, Kept, Store, expanded, must_be_native, wanted


class History:
    """`native` tells whether a call goes to a backend that speaks Responses."""

    def __init__(self, store: Store, native: Callable[[Call], bool]) -> None:
        self._store = store
        self._native = native

    def __call__(self, call: Call, next: Handler) -> Awaitable[Answer]:
        return next(call) if call.client != OWN else self._told(call, next)

    async def _told(self, call: Call, next: Handler) -> Answer:
        """Raises NotFound for an id that nobody knows, Unsupported for what only the vendor can do."""
        asked, native = call.request, self._native(call)
        call.request = expanded(asked, self._store, call.tenant, native)
        if not native:
            must_be_native(call.request)
        answer = await next(call)
        if wanted(asked):
            answer.tap(lambda response: self._keep(call, asked, response))
        return answer

    def _keep(self, call: Call, asked: Request, response: Response) -> None:
        """Under the id that the client is told."""
        told = msgspec.structs.replace(response, id=answer_id(response.id or call.id), model=asked.model)
        self._store.put(Kept(asked, told), call.tenant)
