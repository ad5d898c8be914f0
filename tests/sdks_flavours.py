"""The other flavours of the official SDKs behind the face of sdks_speakers: Responses, boto3, and Azure's and Vertex's own."""

import asyncio
import json
from base64 import b64decode
from typing import Any

import boto3
import httpx2
import openai
from botocore.config import Config
from google import genai
from google.oauth2.credentials import Credentials
from sdks_speakers import PDF, PIXEL, SPEAKERS, Ask, Broken, Call, Gemini, Json, OpenAI, Speaker, Tokens, Told


class Azure(OpenAI):
    """OpenAI's client of Azure: the deployment stands in the path, the version in the query."""

    name = "azure"

    def connect(self, url: str) -> Any:
        return openai.AsyncAzureOpenAI(
            azure_endpoint=url, api_version="2024-10-21", api_key="any", max_retries=0, timeout=10, http_client=self.http
        )


class Vertex(Gemini):
    """Google's client of Vertex: project, location and publisher in the path, a token instead of a key."""

    name = "vertex"

    def google_client(self, options: Any) -> genai.Client:
        place: Json = {"project": "p", "location": "us-central1", "credentials": Credentials("any")}
        return genai.Client(vertexai=True, http_options=options, **place)


class Responses(OpenAI):
    """The other surface of OpenAI's client. A turn may be several items."""

    name = speaks = "responses"

    async def ask(self, ask: Ask, stream: bool) -> Told:
        fields = self.fields(ask)
        if not stream:
            return self.told(await self.client.responses.create(**fields))
        async with self.client.responses.stream(**fields) as events:
            numbers = []
            async for last in events:
                numbers.append(last.sequence_number)
            assert numbers == list(range(len(numbers)))
        if last.type not in ("response.completed", "response.incomplete"):
            raise Broken(last.response.error.message)  # of such an end the SDK raises nothing itself
        return self.told(last.response)

    async def leave(self, ask: Ask) -> None:
        async with self.client.responses.stream(**self.fields(ask)) as events:
            await anext(events.__aiter__())

    def fields(self, ask: Ask) -> Json:
        items = [item for turn in ask.turns for item in (turn if isinstance(turn, list) else [turn])]
        fields: Json = {"model": ask.model, "input": items, "store": False}
        if ask.system:
            fields["instructions"] = ask.system
        if ask.tools:
            fields["tools"] = [
                {"type": "function", "name": name, "description": f"The {name}.", "parameters": schema, "strict": False}
                for name, schema in ask.tools.items()
            ]
        if ask.force:
            named = {"type": "function", "name": ask.force}
            fields["tool_choice"] = {"none": "none", "any": "required"}.get(ask.force, named)
        if ask.parallel is not None:
            fields["parallel_tool_calls"] = ask.parallel
        if ask.form is not None:
            schema = {"type": "json_schema", "name": "answer", "schema": ask.form, "strict": True}
            fields["text"] = {"format": schema if ask.form else {"type": "json_object"}}
        if ask.think:
            fields |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        if ask.limit is not None:
            fields["max_output_tokens"] = ask.limit
        return {**fields, **ask.own}

    def told(self, answer: Any) -> Told:
        used, said = answer.usage, [item for item in answer.output if item.type == "message"]
        read, spent = used.input_tokens_details, used.output_tokens_details
        thoughts = [row for item in answer.output if item.type == "reasoning" for row in (*item.summary, *(item.content or []))]
        parts = [part for item in said for part in item.content]
        return Told(
            text="".join(part.text if part.type == "output_text" else part.refusal for part in parts),
            calls=[
                Call(item.call_id, item.name, json.loads(item.arguments))
                for item in answer.output
                if item.type == "function_call"
            ],
            thinking="".join(row.text for row in thoughts),
            finish=answer.incomplete_details.reason if answer.incomplete_details else answer.status,
            tokens=Tokens(
                used.input_tokens, used.output_tokens, read.cached_tokens, read.cache_write_tokens, spent.reasoning_tokens
            ),
            model=answer.model,
            native=answer.output,
            raw=answer,
            heads=self.heads,
        )

    def user(self, *parts: Any) -> Any:
        return {"role": "user", "content": [self.part(part) for part in parts]}

    def part(self, part: Any) -> Any:
        return {"type": "input_text", "text": part} if isinstance(part, str) else part

    def image(self, url: str | None = None) -> Any:
        return {"type": "input_image", "image_url": url or f"data:image/png;base64,{PIXEL}", "detail": "auto"}

    def pdf(self) -> Any:
        return {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}

    def result(self, call: Call, *parts: Any, error: bool = False) -> list[Any]:
        text = isinstance(parts[0], str) and len(parts) == 1
        output = parts[0] if text else [self.part(part) for part in parts]
        return [{"type": "function_call_output", "call_id": call.id, "output": output}]

    def results(self, *told: tuple[Call, str]) -> list[Any]:
        return [item for call, text in told for item in self.result(call, text)]

    def bare(self, told: Told) -> Any:
        return [
            {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": json.dumps(call.arguments)}
            for call in told.calls
        ]


class Bedrock(Speaker):
    """boto3, which blocks: each question is asked in a thread."""

    name = speaks = "bedrock"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="AKIAANY",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10),
        )
        self.client.meta.events.register("after-call", self._see_all)

    async def __aexit__(self, *_: object) -> None:
        self.client.close()
        await super().__aexit__()

    def _see_all(self, http_response: Any, **_: Any) -> None:
        self.heads = httpx2.Headers(dict(http_response.headers))

    async def ask(self, ask: Ask, stream: bool) -> Told:
        fields = self.fields(ask)
        answer = await asyncio.to_thread(self.streamed if stream else self.client.converse, **fields)
        return self.told(answer, ask.model)

    async def leave(self, ask: Ask) -> None:
        def first() -> None:
            stream = self.client.converse_stream(**self.fields(ask))["stream"]
            next(iter(stream))
            stream.close()

        await asyncio.to_thread(first)

    def streamed(self, **fields: Any) -> Json:
        """The whole answer of a stream, put together as AWS's examples do."""
        answer: Json = {"output": {"message": {"content": []}}}
        content: list[Json] = answer["output"]["message"]["content"]
        stream = self.client.converse_stream(**fields)["stream"]
        try:
            for event in stream:
                ((kind, told),) = event.items()
                match kind:
                    case "messageStart":
                        answer["output"]["message"]["role"] = told["role"]
                    case "contentBlockStart":
                        assert told["contentBlockIndex"] == len(content)
                        content.append(_begun(**told["start"]))
                    case "contentBlockDelta":
                        assert told["contentBlockIndex"] in (len(content), len(content) - 1)
                        if told["contentBlockIndex"] == len(content):
                            content.append({})
                        _add(content[-1], told["delta"])
                    case "contentBlockStop":
                        if "toolUse" in content[-1]:
                            content[-1]["toolUse"]["input"] = json.loads(content[-1]["toolUse"]["input"])
                    case _:
                        answer |= told
        finally:
            stream.close()
        return answer

    def fields(self, ask: Ask) -> Json:
        fields: Json = {"modelId": ask.model, "messages": ask.turns}
        if ask.system:
            fields["system"] = [{"text": ask.system}]
        if ask.tools:
            rows = [
                {"toolSpec": {"name": name, "description": f"The {name}.", "inputSchema": {"json": schema}}}
                for name, schema in ask.tools.items()
            ]
            config: Json = {"tools": rows}
            if ask.force:
                config["toolChoice"] = {"any": {}} if ask.force == "any" else {"tool": {"name": ask.force}}
            fields["toolConfig"] = config
        if ask.form:
            schema = {"name": "answer", "schema": json.dumps(ask.form)}
            fields["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
        if ask.think:
            thinking = {"type": "enabled", "budget_tokens": 1024, "display": "summarized"}
            fields["additionalModelRequestFields"] = {"thinking": thinking}
        limits = {"stopSequences": ask.stops or None, "maxTokens": ask.limit}
        if config := {name: value for name, value in limits.items() if value is not None}:
            fields["inferenceConfig"] = config
        return {**fields, **ask.own}

    def told(self, answer: Any, model: str) -> Told:
        message, used = answer["output"]["message"], answer["usage"]
        blocks = message["content"]
        calls = [block["toolUse"] for block in blocks if "toolUse" in block]
        thoughts = [block["reasoningContent"]["reasoningText"] for block in blocks if "reasoningText" in str(block)]
        parts = (used["inputTokens"], used.get("cacheReadInputTokens"), used.get("cacheWriteInputTokens"))
        return Told(
            text="".join(block.get("text", "") for block in blocks),
            calls=[Call(call["toolUseId"], call["name"], call["input"]) for call in calls],
            thinking="".join(thought["text"] for thought in thoughts),
            finish=answer["stopReason"],
            tokens=Tokens(sum(part or 0 for part in parts), used["outputTokens"], *parts[1:]),
            model=model,  # Converse names no model in its answers
            native=message,
            raw=answer,
            heads=self.heads,
        )

    def user(self, *parts: Any) -> Any:
        return {"role": "user", "content": [self.part(part) for part in parts]}

    def part(self, part: Any) -> Any:
        return {"text": part} if isinstance(part, str) else part

    def image(self, url: str | None = None) -> Any:
        return {"image": {"format": "png", "source": {"bytes": b64decode(PIXEL)}}}

    def pdf(self) -> Any:
        return {"document": {"format": "pdf", "name": "a", "source": {"bytes": b64decode(PDF)}}}

    def result(self, call: Call, *parts: Any, error: bool = False) -> list[Any]:
        told: Json = {"toolUseId": call.id, "content": [self.part(part) for part in parts]}
        return [self.user({"toolResult": {**told, "status": "error"} if error else told})]

    def results(self, *told: tuple[Call, str]) -> list[Any]:
        return [self.user(*(block for call, text in told for turn in self.result(call, text) for block in turn["content"]))]

    def bare(self, told: Told) -> Any:
        calls = [{"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}} for call in told.calls]
        return {"role": "assistant", "content": [*([{"text": told.text}] if told.text else []), *calls]}

    async def count(self, ask: Ask) -> int:
        raise NotImplementedError("Converse counts no tokens here")

    async def models(self) -> list[str]:
        raise NotImplementedError("bedrock-runtime lists no models")


def _begun(**start: Json) -> Json:
    ((kind, told),) = start.items()
    return {kind: {**told, "input": ""} if kind == "toolUse" else told}


def _add(block: Json, delta: Json) -> None:
    """A delta, added to its block."""
    if "citation" in delta:
        cited = block.setdefault("citationsContent", {"content": [{"text": block.pop("text")}], "citations": []})
        cited["citations"].append(delta["citation"])
    elif "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "image" in delta:
        block["image"] |= delta["image"]
    elif "redactedContent" in (told := delta.get("reasoningContent", {})):
        block["reasoningContent"] = told
    elif told:
        thought = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {"text": ""})
        thought["text"] += told.get("text", "")
        thought |= {"signature": told["signature"]} if "signature" in told else {}


EVERY: dict[str, type[Speaker]] = {
    **SPEAKERS,
    "responses": Responses,
    "bedrock": Bedrock,
    "azure": Azure,
    "vertex": Vertex,
}
