"""Official SDKs behind one face: the same question asked in each one's own words, its answer told in common ones.

Whatever an answer's words are, `native` is what the SDK gave: it is what a client sends back. Three are here, the other
flavours in sdks_flavours.py.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from typing import Any, Self

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types
from msgspec import Struct

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJcOkw7zDtsOf"
Json = dict[str, Any]

CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLOSED: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


class Backend(Struct, frozen=True):
    """A backend of running.EVERYONE: the protocol it speaks, a plain model of it, and one that thinks."""

    speaks: str
    plain: str
    thinks: str


_HAIKU = "bedrock/anthropic.claude-haiku-4-5-20251001-v1:0"
ROWS = {
    "openai": Backend("openai", "openai/gpt-4o", "openai/o3"),
    "anthropic": Backend("anthropic", "anthropic/claude-haiku-4-5", "anthropic/claude-haiku-4-5"),
    "gemini": Backend("gemini", "gemini/gemini-2.5-flash", "gemini/gemini-3-pro"),
    "responses": Backend("responses", "responses/gpt-4o", "responses/o3"),
    "bedrock": Backend("bedrock", _HAIKU, _HAIKU),
    "azure": Backend("openai", "azure/gpt-4o", "azure/o3"),
    "azure-dated": Backend("openai", "azure-dated/gpt-4o", "azure-dated/o3"),
    "vertex": Backend("gemini", "vertex/gemini-2.5-flash", "vertex/gemini-3-pro"),
    "vertex-claude": Backend("anthropic", "vertex/claude-haiku-4-5@20251001", "vertex/claude-haiku-4-5@20251001"),
}
PLAIN = {name: row.plain for name, row in ROWS.items()}
THINKS = {name: row.thinks for name, row in ROWS.items()}
SPEAK = ["openai", "anthropic", "gemini", "responses", "bedrock"]  # one of each protocol: for what is the same in any flavour
THREE = SPEAK[:3]

# How an answer ends, in the words of what the client speaks
STOP = {"openai": "stop", "anthropic": "end_turn", "gemini": "STOP", "responses": "completed", "bedrock": "end_turn"}
TOOL = {"openai": "tool_calls", "anthropic": "tool_use", "gemini": "STOP", "responses": "completed", "bedrock": "tool_use"}
LENGTH = {
    "openai": "length",
    "anthropic": "max_tokens",
    "gemini": "MAX_TOKENS",
    "responses": "max_output_tokens",
    "bedrock": "max_tokens",
}
FILTER = {
    "openai": "content_filter",
    "anthropic": "refusal",
    "gemini": "SAFETY",
    "responses": "content_filter",
    "bedrock": "content_filtered",
}


class Broken(Exception):
    """A stream told of its failure, where an SDK leaves it to its user to see it."""


class Call(Struct, frozen=True):
    id: str | None
    name: str
    arguments: Json


class Tokens(Struct, frozen=True):
    """Totals include their breakdown, whoever counts."""

    input: int | None
    output: int | None
    cached: int | None = None
    written: int | None = None
    reasoning: int | None = None


class Told(Struct):
    """An answer. `finish` is the protocol's own word, `heads` those of the HTTP answer."""

    text: str
    calls: list[Call]
    thinking: str
    finish: str | None
    tokens: Tokens
    model: str | None
    native: Any
    raw: Any
    heads: httpx2.Headers

    @property
    def losses(self) -> dict[str, str]:
        """Of the request, path to how."""
        return losses_in(self.heads.get("x-interlingua-losses", ""))

    @property
    def response_losses(self) -> dict[str, str]:
        """Of a whole answer: a stream's come too late for its head."""
        return losses_in(self.heads.get("x-interlingua-response-losses", ""))


def losses_in(header: str) -> dict[str, str]:
    return {path: how for path, _, how in (entry.rpartition(";") for entry in header.split(", ") if entry)}


class Ask(Struct, kw_only=True):
    """A question. `force`: none, any, or a tool's name. `own`: fields in the client's words, added as they are."""

    model: str
    turns: list[Any]
    system: str | None = None
    tools: dict[str, Json] = {}
    force: str | None = None
    parallel: bool | None = None
    form: Json | None = None
    think: bool = False
    stops: list[str] = []
    limit: int | None = None
    own: Json = {}


class Speaker(ABC):
    """One SDK pointed at one gateway. `name`: its flavour, `speaks`: the protocol."""

    name: str
    speaks: str
    client: Any  # the SDK's own

    def __init__(self, url: str) -> None:
        self.heads = httpx2.Headers()
        self.http = httpx2.AsyncClient(verify=False, timeout=20, event_hooks={"response": [self._see]})

    async def _see(self, response: httpx2.Response) -> None:
        self.heads = response.headers

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    @abstractmethod
    async def ask(self, ask: Ask, stream: bool) -> Told: ...

    @abstractmethod
    async def leave(self, ask: Ask) -> None:
        """Goes away when the first event of a stream has come."""

    @abstractmethod
    def fields(self, ask: Ask) -> Json:
        """The question as the SDK's own arguments."""

    @abstractmethod
    def user(self, *parts: Any) -> Any: ...

    @abstractmethod
    def image(self, url: str | None = None) -> Any: ...

    @abstractmethod
    def pdf(self) -> Any: ...

    @abstractmethod
    def result(self, call: Call, *parts: Any, error: bool = False) -> list[Any]:
        """One tool's result. `error` is said where the protocol has a word for it."""

    @abstractmethod
    def results(self, *told: tuple[Call, str]) -> list[Any]: ...

    @abstractmethod
    def bare(self, told: Told) -> Any:
        """The assistant's turn as a client rebuilds it that keeps ids, names and arguments alone."""

    @abstractmethod
    async def count(self, ask: Ask) -> int: ...

    @abstractmethod
    async def models(self) -> list[str]: ...


class OpenAI(Speaker):
    name = speaks = "openai"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.client = self.connect(url)

    def connect(self, url: str) -> Any:
        return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=10, http_client=self.http)

    async def ask(self, ask: Ask, stream: bool) -> Told:
        fields = self.fields(ask)
        if not stream:
            return self.told(await self.client.chat.completions.create(**fields))
        async with self.client.chat.completions.stream(**fields, stream_options={"include_usage": True}) as events:
            try:
                return self.told(await events.get_final_completion())
            except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                return self.told(events.current_completion_snapshot)  # the helper refuses to call these answers final

    async def leave(self, ask: Ask) -> None:
        async with self.client.chat.completions.stream(**self.fields(ask)) as events:
            await anext(events.__aiter__())

    def fields(self, ask: Ask) -> Json:
        system = [{"role": "system", "content": ask.system}] if ask.system else []
        fields: Json = {"model": ask.model, "messages": [*system, *ask.turns]}
        if ask.tools:
            fields["tools"] = [
                {"type": "function", "function": {"name": name, "description": f"The {name}.", "parameters": schema}}
                for name, schema in ask.tools.items()
            ]
        if ask.force:
            named = {"type": "function", "function": {"name": ask.force}}
            fields["tool_choice"] = {"none": "none", "any": "required"}.get(ask.force, named)
        if ask.parallel is not None:
            fields["parallel_tool_calls"] = ask.parallel
        if ask.form is not None:
            schema = {"name": "answer", "schema": ask.form, "strict": True}
            fields["response_format"] = {"type": "json_schema", "json_schema": schema} if ask.form else {"type": "json_object"}
        if ask.think:
            fields["reasoning_effort"] = "low"
        if ask.stops:
            fields["stop"] = ask.stops
        if ask.limit is not None:
            fields["max_completion_tokens"] = ask.limit
        return {**fields, **ask.own}

    def told(self, answer: Any) -> Told:
        choice = answer.choices[0]
        message, used = choice.message, answer.usage
        details, spent = used.prompt_tokens_details, used.completion_tokens_details
        return Told(
            text=message.content or "",
            calls=[Call(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or []],
            thinking=getattr(message, "reasoning_content", None) or "",
            finish=choice.finish_reason,
            tokens=Tokens(
                used.prompt_tokens,
                used.completion_tokens,
                details and details.cached_tokens,
                details and getattr(details, "cache_write_tokens", None),
                spent and spent.reasoning_tokens,
            ),
            model=answer.model,
            native=message,
            raw=answer,
            heads=self.heads,
        )

    def user(self, *parts: Any) -> Any:
        content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
        return {"role": "user", "content": parts[0] if len(parts) == 1 and isinstance(parts[0], str) else content}

    def image(self, url: str | None = None) -> Any:
        return {"type": "image_url", "image_url": {"url": url or f"data:image/png;base64,{PIXEL}"}}

    def pdf(self) -> Any:
        return {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}

    def result(self, call: Call, *parts: Any, error: bool = False) -> list[Any]:
        content = [{"type": "text", "text": part} for part in parts]
        return [{"role": "tool", "tool_call_id": call.id, "content": content}]

    def results(self, *told: tuple[Call, str]) -> list[Any]:
        return [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in told]

    def bare(self, told: Told) -> Any:
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
            for call in told.calls
        ]
        return {"role": "assistant", "content": told.text or None, "tool_calls": calls}

    async def count(self, ask: Ask) -> int:
        raise NotImplementedError("OpenAI's protocol counts no tokens")

    async def models(self) -> list[str]:
        return [model.id async for model in await self.client.models.list()]


class Anthropic(Speaker):
    name = speaks = "anthropic"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.client = anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0, timeout=10, http_client=self.http)

    async def ask(self, ask: Ask, stream: bool) -> Told:
        fields = self.fields(ask)
        if not stream:
            return self.told(await self.client.messages.create(**fields))
        async with self.client.messages.stream(**fields) as events:
            return self.told(await events.get_final_message())

    async def leave(self, ask: Ask) -> None:
        async with self.client.messages.stream(**self.fields(ask)) as events:
            await anext(events.__aiter__())

    def fields(self, ask: Ask) -> Json:
        fields: Json = {"model": ask.model, "max_tokens": ask.limit or 4096, "messages": ask.turns}
        if ask.system:
            fields["system"] = ask.system
        if ask.tools:
            fields["tools"] = [
                {"name": name, "description": f"The {name}.", "input_schema": schema} for name, schema in ask.tools.items()
            ]
        if ask.force or ask.parallel is not None:
            kind = {"none": "none", "any": "any", None: "auto"}.get(ask.force, "tool")
            choice: Json = {"type": kind, "name": ask.force} if kind == "tool" else {"type": kind}
            if ask.parallel is not None:
                choice["disable_parallel_tool_use"] = not ask.parallel
            fields["tool_choice"] = choice
        if ask.form:
            fields["output_config"] = {"format": {"type": "json_schema", "schema": ask.form}}
        if ask.think:
            fields["thinking"] = {"type": "enabled", "budget_tokens": 1024, "display": "summarized"}
        if ask.stops:
            fields["stop_sequences"] = ask.stops
        return {**fields, **ask.own}

    def told(self, answer: Any) -> Told:
        used = answer.usage
        parts = (used.input_tokens, used.cache_read_input_tokens, used.cache_creation_input_tokens)
        spent = used.output_tokens_details
        return Told(
            text="".join(block.text for block in answer.content if block.type == "text"),
            calls=[Call(block.id, block.name, block.input) for block in answer.content if block.type == "tool_use"],
            thinking="".join(block.thinking for block in answer.content if block.type == "thinking"),
            finish=answer.stop_reason,
            tokens=Tokens(sum(p or 0 for p in parts), used.output_tokens, parts[1], parts[2], spent and spent.thinking_tokens),
            model=answer.model,
            native={"role": "assistant", "content": answer.content},
            raw=answer,
            heads=self.heads,
        )

    def user(self, *parts: Any) -> Any:
        content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
        return {"role": "user", "content": parts[0] if len(parts) == 1 and isinstance(parts[0], str) else content}

    def image(self, url: str | None = None) -> Any:
        base64 = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        return {"type": "image", "source": {"type": "url", "url": url} if url else base64}

    def pdf(self) -> Any:
        return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}

    def result(self, call: Call, *parts: Any, error: bool = False) -> list[Any]:
        content = self.user(*parts)["content"]
        told: Json = {"type": "tool_result", "tool_use_id": call.id, "content": content}
        return [self.user({**told, "is_error": True} if error else told)]

    def results(self, *told: tuple[Call, str]) -> list[Any]:
        blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in told]
        return [{"role": "user", "content": blocks}]

    def bare(self, told: Told) -> Any:
        text = [{"type": "text", "text": told.text}] if told.text else []
        calls = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in told.calls]
        return {"role": "assistant", "content": text + calls}

    async def count(self, ask: Ask) -> int:
        fields = self.fields(ask)
        del fields["max_tokens"]
        return (await self.client.messages.count_tokens(**fields)).input_tokens

    async def models(self) -> list[str]:
        return [model.id async for model in self.client.models.list()]


class Gemini(Speaker):
    name = speaks = "gemini"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        options = types.HttpOptions(
            base_url=url,
            timeout=10_000,
            httpx_async_client=self.http,
            retry_options=types.HttpRetryOptions(attempts=1),
            client_args={"verify": False},
        )
        self.google = self.google_client(options)
        self.client = self.google.aio

    def google_client(self, options: Any) -> genai.Client:
        return genai.Client(api_key="any", vertexai=False, http_options=options)

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        self.google.close()
        await super().__aexit__()

    async def ask(self, ask: Ask, stream: bool) -> Told:
        fields = self.fields(ask)
        if not stream:
            return self.told([await self.client.models.generate_content(**fields)])
        return self.told([row async for row in await self.client.models.generate_content_stream(**fields)])

    async def leave(self, ask: Ask) -> None:
        came = asyncio.Event()

        async def read() -> None:
            async for _ in await self.client.models.generate_content_stream(**self.fields(ask)):
                came.set()

        task = asyncio.create_task(read())  # closing the rows alone would leave the connection to the garbage collector
        await came.wait()
        task.cancel()
        await asyncio.wait([task])

    def fields(self, ask: Ask) -> Json:
        config: Json = {}
        if ask.system:
            config["system_instruction"] = ask.system
        if ask.tools:
            rows = [
                {"name": name, "description": f"The {name}.", "parameters_json_schema": schema}
                for name, schema in ask.tools.items()
            ]
            config["tools"] = [{"function_declarations": rows}]
        if ask.force:
            calling: Json = {"mode": {"none": "NONE"}.get(ask.force, "ANY")}
            if ask.force not in ("none", "any"):
                calling["allowed_function_names"] = [ask.force]
            config["tool_config"] = {"function_calling_config": calling}
        if ask.form is not None:
            config["response_mime_type"] = "application/json"
            if ask.form:
                config["response_json_schema"] = ask.form
        if ask.think:
            config["thinking_config"] = {"include_thoughts": True, "thinking_budget": 1024}
        if ask.stops:
            config["stop_sequences"] = ask.stops
        if ask.limit is not None:
            config["max_output_tokens"] = ask.limit
        return {"model": ask.model, "contents": ask.turns, "config": types.GenerateContentConfig(**config, **ask.own)}

    def told(self, rows: list[Any]) -> Told:
        candidates = [row.candidates[0] for row in rows if row.candidates]
        parts = [part for c in candidates if c.content for part in c.content.parts or []]
        used = rows[-1].usage_metadata
        output = None if used is None else (used.candidates_token_count or 0) + (used.thoughts_token_count or 0)
        finish = next((c.finish_reason for c in reversed(candidates) if c.finish_reason), None)
        return Told(
            text="".join(part.text for part in parts if part.text and not part.thought),
            calls=[Call(p.function_call.id, p.function_call.name, p.function_call.args or {}) for p in parts if p.function_call],
            thinking="".join(part.text for part in parts if part.text and part.thought),
            finish=finish and finish.value,
            tokens=Tokens(
                used and used.prompt_token_count,
                output,
                used and used.cached_content_token_count,
                reasoning=used and used.thoughts_token_count,
            ),
            model=rows[-1].model_version,
            native=types.Content(role="model", parts=parts),
            raw=rows[-1],
            heads=self.heads,
        )

    def user(self, *parts: Any) -> Any:
        return types.Content(role="user", parts=[types.Part(text=part) if isinstance(part, str) else part for part in parts])

    def image(self, url: str | None = None) -> Any:
        if url:
            return types.Part.from_uri(file_uri=url, mime_type="image/png")
        return types.Part.model_validate({"inline_data": {"mime_type": "image/png", "data": PIXEL}})

    def pdf(self) -> Any:
        return types.Part.model_validate({"inline_data": {"mime_type": "application/pdf", "data": PDF}})

    def result(self, call: Call, *parts: Any, error: bool = False) -> list[Any]:
        word, pictures = "error" if error else "output", [part.model_dump(exclude_none=True) for part in parts[1:]]
        told = {"id": call.id, "name": call.name, "response": {word: parts[0]}, "parts": pictures or None}
        return [types.Content(role="user", parts=[types.Part.model_validate({"function_response": told})])]

    def results(self, *told: tuple[Call, str]) -> list[Any]:
        responses = [types.FunctionResponse(id=call.id, name=call.name, response={"output": text}) for call, text in told]
        return [types.Content(role="user", parts=[types.Part(function_response=response) for response in responses])]

    def bare(self, told: Told) -> Any:
        text = [types.Part(text=told.text)] if told.text else []
        calls = [types.FunctionCall(id=call.id, name=call.name, args=call.arguments) for call in told.calls]
        return types.Content(role="model", parts=text + [types.Part(function_call=call) for call in calls])

    async def count(self, ask: Ask) -> int:
        counted = await self.client.models.count_tokens(model=ask.model, contents=ask.turns)
        return counted.total_tokens or 0

    async def models(self) -> list[str]:
        return [model.name or "" async for model in await self.client.models.list()]


SPEAKERS: dict[str, type[Speaker]] = {"openai": OpenAI, "anthropic": Anthropic, "gemini": Gemini}
