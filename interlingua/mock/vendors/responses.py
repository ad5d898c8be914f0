"""OpenAI Responses. Shapes: openai.types.responses.Response, its output items and stream events; errors as Chat's.

A response is kept, as OpenAI keeps it, unless the request says `store: false`: the newest thousand of this process.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from interlingua.mock import seal
from interlingua.mock.rules import responses as rules
from interlingua.mock.scenarios import play
from interlingua.mock.shape import violation
from interlingua.mock.talk import Answer, Ask, Result, Text, Thought, Tool, Use, digest, prompt_tokens
from interlingua.mock.vendors import Vendor
from interlingua.mock.vendors.openai import CREATED, error, keyed, linked, posted, refuse, reply, standing, wanted
from interlingua.mock.wire import Call, Chunk, Json, Options, Refusal, Reply, Stream, a_list, an_object, decode, encode

LIMIT: Final = 1000
INCOMPLETE: Final = {"length": "max_output_tokens", "filter": "content_filter"}
_PATH: Final = re.compile(r"^/v1/responses/([^/]+)(/input_items)?$")
_ECHOED: Final = ("max_output_tokens", "max_tool_calls", "previous_response_id", "prompt_cache_key", "safety_identifier", "user")


class Kept(Struct):
    """A response, and the items that led to it: its own input, and all that came before."""

    body: Json
    input: list[Json]
    history: list[Json]


KEPT: Final[OrderedDict[str, Kept]] = OrderedDict()


def serve(call: Call, options: Options) -> Reply | Stream:
    keyed(call)
    if call.path == "/v1/responses":
        return create(posted(call), options)
    if found := _PATH.match(call.path):
        kept = KEPT.get(found[1])
        if kept is None:
            raise Refusal("model", f"Response with id '{found[1]}' not found.", param="response_id", code="")
        if found[2]:
            wanted(call, "GET")
            ids = [item["id"] for item in kept.input]
            page: Json = {
                "object": "list",
                "data": kept.input,
                "first_id": (ids or [""])[0],
                "last_id": (ids or [""])[-1],
                "has_more": False,
            }
            return reply(page, call)
        if call.method == "DELETE":
            del KEPT[found[1]]
            return reply({"id": found[1], "object": "response.deleted", "deleted": True}, call)
        wanted(call, "GET")
        return reply(kept.body, call)
    raise Refusal("path", f"Unknown request URL: {call.method} {call.path}.")


def claims(call: Call) -> bool:
    return call.path == "/v1/responses" or call.path.startswith("/v1/responses/")


def create(call: Call, options: Options) -> Reply | Stream:
    body = decode(call)
    fault = violation("responses", body)
    if fault and not (options.unknown_fields and fault.kind == "unknown"):
        raise rules.structure(fault)
    rules.whole(body)
    history = earlier(body.get("previous_response_id"))
    rules.check(body, history, {item["id"] for kept in KEPT.values() for item in kept.body["output"]}, options)
    ask = read(body, call, history)
    answer = play(ask)
    writer = Writer(body, ask, answer)
    if body.get("store") is not False:
        keep(writer, body, history)
    if not ask.stream:
        return Reply(encode(writer.response()), headers=standing(call), fault=answer.fault)
    return Stream(writer.chunks(), writer.broken(), standing(call), fault=answer.fault)


def earlier(previous: str | None) -> list[Json]:
    if previous is None:
        return []
    kept = KEPT.get(previous)
    if kept is None:
        text = f"Previous response with id '{previous}' not found."
        raise Refusal("model", text, param="previous_response_id", code="previous_response_not_found")
    return [*kept.history, *kept.input, *kept.body["output"]]


def keep(writer: "Writer", body: Json, history: list[Json]) -> None:
    listed = [{"id": f"msg_{writer.seed[:24]}_{n}", "type": "message", **item} for n, item in enumerate(rules.items(body))]
    KEPT[writer.id] = Kept(writer.response(), listed, history)
    while len(KEPT) > LIMIT:
        KEPT.popitem(last=False)


# Reading


def read(body: Json, call: Call, history: list[Json]) -> Ask:
    said = rules.items(body)
    every = [*history, *said]
    names = {item["call_id"]: item["name"] for item in every if item.get("type") in ("function_call", "custom_tool_call")}
    last = last_turn(said)
    form = an_object(an_object(body.get("text")).get("format"))
    tools: list[Json] = body.get("tools") or []
    offered = [tool_of(tool) for _, _, tool in rules.functions(tools)]
    media = [text for item in every for text in media_in(item)]
    effort = an_object(body.get("reasoning")).get("effort")
    return Ask(
        model=body.get("model") or "mock",
        seed=digest(call.body),
        text="\n".join(text_of(item.get("content")) for item in last if item.get("role") == "user"),
        media=media,
        tools=allowed(body.get("tool_choice"), offered),
        hosted=len(tools) - sum(tool["type"] in ("function", "custom", "namespace") for tool in tools),
        force=forced(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls") is not False,
        results=[Result(names[item["call_id"]], text_of(item["output"])) for item in last if "output" in item],
        schema=form.get("schema"),
        json_mode=form.get("type") == "json_object",
        think=effort not in (None, "none"),
        stream=bool(body.get("stream")),
        prompt_tokens=counted(body, every, tools, len(media)),
    )


def last_turn(said: list[Json]) -> list[Json]:
    """What came after the last thing the assistant said."""
    turn: list[Json] = []
    for item in reversed(said):
        if item.get("role") == "assistant" or item.get("type") in ("function_call", "custom_tool_call", "reasoning"):
            break
        turn.insert(0, item)
    return turn


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or part.get("refusal") or "" for part in a_list(content) if "text" in part["type"])


def tool_of(tool: Json) -> Tool:
    return Tool(tool["name"], None if tool["type"] == "custom" else tool.get("parameters") or {"type": "object"})


def allowed(choice: Any, tools: list[Tool]) -> list[Tool]:
    if choice == "none":
        return []
    if an_object(choice).get("type") != "allowed_tools":
        return tools
    names = {row.get("name") for row in choice["tools"]}
    return [tool for tool in tools if tool.name in names]


def forced(choice: Any) -> str | None:
    if isinstance(choice, str):
        return "any" if choice == "required" else None
    row = an_object(choice)
    if row.get("type") == "allowed_tools":
        return "any" if row["mode"] == "required" else None
    return row.get("name")


def media_in(item: Json) -> Iterator[str]:
    for part in [*a_list(item.get("content")), *a_list(item.get("output"))]:
        match part["type"]:
            case "input_image":
                yield f"image {linked(part.get('image_url') or part.get('file_id') or '')}"
            case "input_file":
                yield f"document {linked(part.get('file_data') or part.get('file_url') or part.get('file_id') or '')}"
            case _:
                pass


def counted(body: Json, every: list[Json], tools: list[Json], media: int) -> int:
    texts = [text_of(item.get("content") or item.get("output")) for item in every if item.get("type") != "reasoning"]
    calls = [item["name"] + (item.get("arguments") or item.get("input") or "") for item in every if "name" in item]
    schemas = encode(tools).decode() if tools else ""
    return prompt_tokens(body.get("instructions") or "", *texts, *calls, schemas, messages=len(every), media=media)


# Writing


class Writer:
    """One answer as a response, or as its events."""

    def __init__(self, body: Json, ask: Ask, answer: Answer) -> None:
        self.body, self.ask, self.answer = body, ask, answer
        self.seed = digest(ask.seed)
        self.id = f"resp_{self.seed[:48]}"
        self.number = 0
        include = a_list(body.get("include"))
        self.sealed = "reasoning.encrypted_content" in include
        rated = "message.output_text.logprobs" in include or "logprobs" in answer.flags
        self.tops = (body.get("top_logprobs") or ("logprobs" in answer.flags and 2) or 0) if rated else None
        self.spaces = {tool["name"]: space for _, space, tool in rules.functions(body.get("tools") or []) if space}
        self.groups = list(self.grouped())
        cut = {"status": "incomplete"} if answer.finish in INCOMPLETE else {}
        self.items = [self.item(group, n) for n, group in enumerate(self.groups)]
        if self.items and self.items[-1]["type"] == "message":
            self.items[-1] |= cut

    def grouped(self) -> Iterator[list[Any]]:
        """The parts of each item: texts that follow one another are one message."""
        run: list[Any] = []
        for part in [part for part in self.answer.parts if isinstance(part, Text | Thought | Use)]:
            if run and not (isinstance(part, Text) and isinstance(run[-1], Text)):
                yield run
                run = []
            run.append(part)
        if run:
            yield run

    def item(self, group: list[Any], number: int) -> Json:
        part, id_ = group[0], f"{self.seed[:40]}{number:02}"
        match part:
            case Thought():
                summary = [] if part.hidden or not self.summarised else [{"type": "summary_text", "text": part.whole}]
                sealed = {"encrypted_content": seal.token(rules.ORIGIN, f"{self.seed}{number}")} if self.sealed else {}
                return {"id": f"rs_{id_}", "type": "reasoning", "summary": summary, **sealed}
            case Use():
                space = {"namespace": self.spaces[part.name]} if part.name in self.spaces else {}
                call = {"status": "completed", "call_id": f"call_{part.id}", "name": part.name, **space}
                if part.free:
                    return {"id": f"ctc_{id_}", "type": "custom_tool_call", **call, "input": part.arguments}
                return {"id": f"fc_{id_}", "type": "function_call", **call, "arguments": part.arguments}
            case _:
                content = [self.content(text) for text in group]
                return {"id": f"msg_{id_}", "type": "message", "status": "completed", "role": "assistant", "content": content}

    @property
    def summarised(self) -> bool:
        asked = an_object(self.body.get("reasoning"))
        return asked.get("summary") is not None or asked.get("generate_summary") is not None

    def content(self, text: Text) -> Json:
        if self.answer.finish == "refusal":
            return {"type": "refusal", "refusal": text.whole}
        return {
            "type": "output_text",
            "annotations": self.annotations(text),
            "logprobs": self.logprobs(text.pieces),
            "text": text.whole,
        }

    def annotations(self, text: Text) -> list[Json]:
        if not text.cited:
            return []
        link = {"type": "url_citation", "start_index": 0, "end_index": len(text.whole)}
        return [{**link, "title": "Mock source", "url": "https://example.com/source"}]

    def logprobs(self, pieces: tuple[str, ...] | list[str]) -> list[Json]:
        def row(token: str, logprob: float) -> Json:
            return {"token": token, "bytes": list(token.encode()), "logprob": logprob}

        if self.tops is None:
            return []
        return [{**row(piece, -0.1), "top_logprobs": [row(piece, -0.1 - n) for n in range(self.tops)]} for piece in pieces]

    def response(self) -> Json:
        reason = INCOMPLETE.get(self.answer.finish)
        details = {"reason": reason} if reason else None
        return self.frame("incomplete" if reason else "completed", self.items, self.usage(), details)

    def frame(self, status: str, output: list[Json], usage: Json | None, details: Json | None = None) -> Json:
        body, asked = self.body, an_object(self.body.get("reasoning"))
        return {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": bool(body.get("background")),
            "error": None,
            "incomplete_details": details,
            "instructions": body.get("instructions"),
            "model": self.ask.model,
            "output": output,
            "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
            "reasoning": {"effort": asked.get("effort"), "summary": asked.get("summary")},
            "service_tier": "default",
            "store": body.get("store") is not False,
            "temperature": body.get("temperature", 1.0),
            "text": {"format": {"type": "text"}, "verbosity": "medium", **(body.get("text") or {})},
            "tool_choice": body.get("tool_choice") or "auto",
            "tools": body.get("tools") or [],
            "top_logprobs": body.get("top_logprobs") or 0,
            "top_p": body.get("top_p", 1.0),
            "truncation": body.get("truncation") or "disabled",
            "usage": usage,
            "metadata": body.get("metadata") or {},
            **{field: body.get(field) for field in _ECHOED},
        }

    def usage(self) -> Json:
        used = self.answer.usage
        return {
            "input_tokens": used.prompt,
            "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.written},
            "output_tokens": used.output,
            "output_tokens_details": {"reasoning_tokens": used.thinking},
            "total_tokens": used.prompt + used.output,
        }

    # Events

    def event(self, kind: str, /, content: bool = False, **fields: Any) -> Chunk:
        body = {"type": kind, "sequence_number": self.number, **fields}
        self.number += 1
        if content and an_object(self.body.get("stream_options")).get("include_obfuscation") is not False:
            body["obfuscation"] = digest(kind, self.number)[:8]
        return Chunk(f"event: {kind}\ndata: ".encode() + encode(body) + b"\n\n", content)

    def broken(self) -> bytes:
        """The frame of a failure under way."""
        told = error(Refusal("server", "The server had an error while processing your request."))["error"]
        failed = {**self.frame("failed", [], None), "error": {"code": "server_error", "message": told["message"]}}
        return (
            b"event: response.failed\ndata: "
            + encode({"type": "response.failed", "sequence_number": 99, "response": failed})
            + b"\n\n"
        )

    def chunks(self) -> Iterator[Chunk]:
        for kind in ("response.created", "response.in_progress"):
            yield self.event(kind, response=self.frame("in_progress", [], None))
        if "interleaved" in self.answer.flags:
            yield from self.interleaved()
        else:
            for n, group in enumerate(self.groups):
                yield from self.told(group, self.items[n], n)
        if self.answer.finish == "missing":
            return
        done = self.response()
        yield self.event(f"response.{done['status']}", response=done)

    def interleaved(self) -> Iterator[Chunk]:
        """Items that are under way at once: each in turn says its next event."""
        rows = [list(self.told(group, self.items[n], n)) for n, group in enumerate(self.groups)]
        self.number -= sum(map(len, rows))
        for turn in range(max(map(len, rows), default=0)):
            for row in rows:
                if turn < len(row):
                    yield self.renumbered(row[turn])

    def renumbered(self, chunk: Chunk) -> Chunk:
        data = re.sub(rb'"sequence_number":\d+', b'"sequence_number":%d' % self.number, chunk.data, count=1)
        self.number += 1
        return Chunk(data, chunk.content)

    def told(self, group: list[Any], item: Json, n: int) -> Iterator[Chunk]:
        place: Json = {"item_id": item["id"], "output_index": n}
        empty: Json = {"content": []} if item["type"] == "message" else {"summary": []} if item["type"] == "reasoning" else {}
        field = {"function_call": "arguments", "custom_tool_call": "input"}.get(item["type"])
        begun = {**item, **empty, **({field: ""} if field else {})}
        yield self.event("response.output_item.added", output_index=n, item={**begun, **self.in_progress(item)})
        match item["type"]:
            case "message":
                for number, text in enumerate(group):
                    yield from self.text(text, item["content"][number], {**place, "content_index": number})
            case "reasoning":
                if item["summary"]:
                    yield from self.summary(group[0], place)
            case _:
                yield from self.arguments(group[0], item, place)
        yield self.event("response.output_item.done", output_index=n, item=item)

    def in_progress(self, item: Json) -> Json:
        return {"status": "in_progress"} if "status" in item else {}

    def text(self, text: Text, content: Json, place: Json) -> Iterator[Chunk]:
        refused = content["type"] == "refusal"
        field, name = ("refusal", "refusal") if refused else ("text", "output_text")
        empty: Json = {**content, field: "", **({} if refused else {"annotations": [], "logprobs": []})}
        yield self.event("response.content_part.added", **place, part=empty)
        for piece in text.pieces:
            rated = {} if refused else {"logprobs": self.logprobs([piece])}
            yield self.event(f"response.{name}.delta", True, **place, delta=piece, **rated)
        for number, annotation in enumerate(content.get("annotations", [])):
            kind = "response.output_text.annotation.added"
            yield self.event(kind, **place, annotation_index=number, annotation=annotation)
        rated = {} if refused else {"logprobs": content["logprobs"]}
        yield self.event(f"response.{name}.done", **place, **{field: text.whole}, **rated)
        yield self.event("response.content_part.done", **place, part=content)

    def summary(self, thought: Thought, place: Json) -> Iterator[Chunk]:
        place = {**place, "summary_index": 0}
        yield self.event("response.reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""})
        for piece in thought.pieces:
            yield self.event("response.reasoning_summary_text.delta", True, **place, delta=piece)
        yield self.event("response.reasoning_summary_text.done", **place, text=thought.whole)
        part = {"type": "summary_text", "text": thought.whole}
        yield self.event("response.reasoning_summary_part.done", **place, part=part)

    def arguments(self, use: Use, item: Json, place: Json) -> Iterator[Chunk]:
        kind = "response.custom_tool_call_input" if use.free else "response.function_call_arguments"
        field = "input" if use.free else "arguments"
        if "whole_args" not in self.answer.flags:  # then the `.done` alone tells them
            for piece in use.pieces(False):
                yield self.event(f"{kind}.delta", True, **place, delta=piece)
        yield self.event(f"{kind}.done", **place, **{field: item[field]})


VENDOR: Final = Vendor("responses", claims, serve, refuse)
