"""What Anthropic's Messages refuses beyond structure: from the SDK's notes, the API version's migration page and errors seen.

Paths are written as the vendor does: messages.0.content.1. Facts about models are the mock's own.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from interlingua.mock import seal
from interlingua.mock.rules.anthropic_form import closed_form
from interlingua.mock.scenarios import known_model
from interlingua.mock.shape import Violation
from interlingua.mock.wire import Json, Options, Refusal, a_list, an_object, bad

OLD: Final = "2023-06-01"
NEW: Final = "2026-10-21"
VERSIONS: Final = (OLD, NEW)
ORIGIN: Final = "anthropic"
SAMPLING: Final = ("temperature", "top_p", "top_k")

_NAME: Final = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
_FAMILY: Final = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2}|preview)(?:-(\d{1,2}))?(?!\d)")
_OLDER: Final = re.compile(r"claude-(\d)(?:-(\d))?-(opus|sonnet|haiku)")
_BUDGET: Final = 1024
_BREAKPOINTS: Final = 4
_OPEN: Final = ("fable", "mythos")  # families that cannot be told not to think
_UNFORCED: Final = (("opus", (5, 5)), ("fable", (5, 1)), ("mythos", (5, 1)))  # refuse a forced tool from this version on


class Claude(Struct, frozen=True):
    """A model's family and version. An unknown one may do anything that any may."""

    family: str = ""
    version: tuple[int, int] = (0, 0)

    def since(self, *version: int) -> bool:
        return self.version >= version

    @property
    def known(self) -> bool:
        return bool(self.family)

    @property
    def max_output(self) -> int:
        if not self.known or self.since(4, 6):
            return 128_000
        if self.since(4):
            return 32_000 if self.family == "opus" and not self.since(4, 5) else 64_000
        return {(3, 5): 8_192, (3, 7): 64_000}.get(self.version, 4_096)


def claude(model: str) -> Claude:
    if found := _FAMILY.search(model):
        if found[2] == "preview":
            return Claude(found[1], (4, 9))  # between the 4.8 it resembles and the 5 it became
        return Claude(found[1], (int(found[2]), int(found[3] or 0)))
    if found := _OLDER.search(model):
        return Claude(found[3], (int(found[1]), int(found[2] or 0)))
    return Claude()


def structure(fault: Violation) -> Refusal:
    """A violation of the schema in Anthropic's words."""
    match fault.kind:
        case "unknown":
            text = "Extra inputs are not permitted"
        case "missing":
            text = "Field required"
        case "type":
            text = f"Input should be a valid {' or '.join(fault.wanted)}"
        case "value":
            text = f"Input should be {', '.join(repr(value) for value in fault.wanted)}"
    return bad(f"{fault.dotted}: {text}")


def check(body: Json, version: str, betas: list[str], options: Options) -> None:
    """Every rule of a Messages request whose structure is right."""
    counted(body, version, options)
    model = claude(body["model"])
    limit(body, model)
    thinking(body, model, betas)
    last_message(body["messages"], body, model)
    for number, stop in enumerate(body.get("stop_sequences") or []):
        if not stop.strip():
            raise bad(f"stop_sequences.{number}: each stop sequence must contain non-whitespace")
    if len(str(an_object(body.get("metadata")).get("user_id") or "")) > 256:
        raise bad("metadata.user_id: String should have at most 256 characters")


def counted(body: Json, version: str, options: Options) -> None:
    """The rules that hold for a request to count tokens too."""
    model_known(body["model"], options)
    model = claude(body["model"])
    messages: list[Json] = body["messages"]
    roles(messages, model)
    for where, block in blocks(body):
        content_block(where, block)
    if len({to_cite(block) for _, block in blocks(body) if block["type"] == "search_result"}) > 1:
        raise bad("messages: citations must be enabled for all search results or for none")
    if version == NEW:
        stricter(messages)
    tool_pairs(messages)
    tools(body, model)
    output(body, model)
    breakpoints(body)


def model_known(model: str, options: Options) -> None:
    if not (model.startswith("claude-") or known_model(model) or options.any_model):
        raise Refusal("model", f"model: {model}")


# Sampling, before the structure is looked at: whether these fields exist depends on version and model


def sampling(body: Json, version: str) -> Json:
    """The body without its sampling parameters, where they are allowed; as it is, for the structure to refuse, where not."""
    named = an_object(body).get("model")
    model = claude(named) if isinstance(named, str) else Claude()
    given = [field for field in SAMPLING if body.get(field) is not None]
    if version == NEW or not given:
        return body
    if model.since(4, 7):
        raise bad(f"{given[0]}: this model does not take sampling parameters")
    for field in given:
        sampled(field, body[field])
    if model.since(4, 5) and "temperature" in given and "top_p" in given:
        raise bad("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    return {key: value for key, value in body.items() if key not in SAMPLING}


def sampled(field: str, value: Any) -> None:
    whole = field == "top_k"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise bad(f"{field}: Input should be a valid {'integer' if whole else 'number'}")
    if value < 0:
        raise bad(f"{field}: Input should be greater than or equal to 0")
    if value > 1 and not whole:
        raise bad(f"{field}: Input should be less than or equal to 1")


# Messages


def roles(messages: list[Json], model: Claude) -> None:
    if not messages:
        raise bad("messages: at least one message is required")
    if messages[0]["role"] != "user":
        raise bad('messages: first message must use the "user" role')
    for index, message in enumerate(messages):
        if message["role"] == "system":
            if model.known and not model.since(4, 8):
                raise bad(f"messages.{index}.role: role 'system' is not supported on this model")
            if messages[index - 1]["role"] == "assistant":
                raise bad(f"messages.{index}: a system message must follow a user message")
        empty = not message["content"] or (isinstance(message["content"], str) and not message["content"].strip())
        last = index == len(messages) - 1 and message["role"] == "assistant" and not message["content"]
        if empty and not last:
            raise bad(
                f"messages.{index}: all messages must have non-empty content except for the optional final assistant message"
            )


def blocks(body: Json) -> Iterator[tuple[str, Json]]:
    """Every content block with its path, those inside results too."""
    for number, block in enumerate(a_list(body.get("system"))):
        yield f"system.{number}", block
    for index, message in enumerate(body["messages"]):
        yield from inside(f"messages.{index}.content", message["content"])


def inside(where: str, content: Any) -> Iterator[tuple[str, Json]]:
    for number, block in enumerate(a_list(content)):
        yield f"{where}.{number}", block
        if block["type"] in ("tool_result", "search_result"):
            yield from inside(f"{where}.{number}.content", block.get("content"))


def content_block(where: str, block: Json) -> None:
    match block["type"]:
        case "text":
            if not block["text"]:
                raise bad(f"{where}: text content blocks must be non-empty")
            if not block["text"].strip():
                raise bad(f"{where}: text content blocks must contain non-whitespace text")
        case "search_result" if not block["content"]:
            raise bad(f"{where}.content: search results must contain at least one text block")
        case "image" | "document":
            source(f"{where}.source", block["source"])
        case "thinking":
            if not seal.holds(ORIGIN, block["thinking"], block["signature"]):
                raise bad(f"{where}: Invalid `signature` in `thinking` block")
        case "redacted_thinking":
            if not seal.is_token(ORIGIN, block["data"]):
                raise bad(f"{where}: Invalid `data` in `redacted_thinking` block")
        case "tool_use":
            if not _NAME.match(block["name"]):
                raise bad(f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        case _:
            pass


def to_cite(block: Json) -> bool:
    return bool(an_object(block.get("citations")).get("enabled"))


def source(where: str, told: Json) -> None:
    if told["type"] == "url" and not told["url"].startswith("https://"):
        raise bad(f"{where}.url: Only HTTPS URLs are supported")
    if told["type"] == "base64":
        try:
            data = base64.b64decode(told["data"], validate=True)
        except (binascii.Error, ValueError):
            raise bad(f"{where}.data: invalid base64 data") from None
        if not data:
            raise bad(f"{where}.data: the file is empty")


def stricter(messages: list[Json]) -> None:
    """What only version 2026-10-21 refuses."""
    for index, message in enumerate(messages):
        for number, block in enumerate(a_list(message["content"])):
            where = f"messages.{index}.content.{number}"
            if message["role"] == "assistant" and block["type"] == "document":
                raise bad(f"{where}: document blocks are not permitted in assistant messages")
            texts = [block, *(a_list(block.get("content")) if block["type"] == "search_result" else [])]
            if message["role"] == "user" and any(part["type"] == "text" and part.get("citations") for part in texts):
                raise bad(f"{where}.citations: citations are not permitted on text blocks in user messages")


def turns(messages: list[Json]) -> list[tuple[str, int, list[Json]]]:
    """Role, index of the first message, and blocks of each turn; neighbours of one role are one turn, system messages none."""
    out: list[tuple[str, int, list[Json]]] = []
    for index, message in enumerate(messages):
        content = message["content"]
        parts: list[Json] = [{"type": "text", "text": content}] if isinstance(content, str) else a_list(content)
        if message["role"] == "system":
            continue
        if out and out[-1][0] == message["role"]:
            out[-1][2].extend(parts)
        else:
            out.append((message["role"], index, list(parts)))
    return out


def tool_pairs(messages: list[Json]) -> None:
    """Each tool_use has its tool_result at the start of the next user turn, and no result stands elsewhere."""
    waiting: list[str] = []
    seen: set[str] = set()
    for role, index, parts in turns(messages):
        results = [part["tool_use_id"] for part in parts if part["type"] == "tool_result"]
        if role == "assistant" and results:
            raise bad(f"messages.{index}: `tool_result` blocks can only be in user messages")
        strangers = [name for name in results if name not in waiting]
        if strangers:
            text = f"unexpected `tool_use_id` found in `tool_result` blocks: {strangers[0]}"
            raise bad(f"messages.{index}: {text}. Each must have its `tool_use` block in the previous message.")
        missing = [name for name in waiting if name not in results]
        if missing:
            text = f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing)}"
            raise bad(f"messages.{index}: {text}.")
        ordered(index, parts, results)
        waiting = [part["id"] for part in parts if part["type"] == "tool_use"]
        if role == "user" and waiting:
            raise bad(f"messages.{index}: `tool_use` blocks can only be in assistant messages")
        if len(set(waiting)) < len(waiting) or seen.intersection(waiting):
            raise bad(f"messages.{index}: `tool_use` ids must be unique")
        seen.update(waiting)
    if waiting:
        text = f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(waiting)}"
        raise bad(f"messages.{len(messages) - 1}: {text}.")


def ordered(index: int, parts: list[Json], results: list[str]) -> None:
    if len(set(results)) < len(results):
        raise bad(f"messages.{index}: each `tool_use` must have a single result")
    if any(part["type"] != "tool_result" for part in parts[: len(results)]):
        raise bad(f"messages.{index}: `tool_result` blocks must come first in the content")


def last_message(messages: list[Json], body: Json, model: Claude) -> None:
    last = messages[-1]
    if last["role"] != "assistant":
        return
    thinks = an_object(body.get("thinking")).get("type") not in (None, "disabled")
    if model.since(4, 6) or thinks:
        text = (
            "This model does not support assistant message prefill."
            if model.since(4, 6)
            else "Prefill and thinking exclude each other."
        )
        raise bad(f"{text} The conversation must end with a user message.")
    parts = a_list(last["content"])
    text = last["content"] if isinstance(last["content"], str) else parts[-1].get("text", "") if parts else ""
    if text != text.rstrip():
        raise bad("messages: final assistant content cannot end with trailing whitespace")


# Tools and output


def tools(body: Json, model: Claude) -> None:
    given: list[Json] = body.get("tools") or []
    names: list[str] = [tool["name"] for tool in given if "name" in tool]
    for index, tool in enumerate(given):
        if tool.get("type") not in (None, "custom"):
            continue
        if not _NAME.match(tool["name"]):
            raise bad(f"tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if tool["input_schema"].get("type") != "object":
            raise bad(f"tools.{index}.custom.input_schema.type: Input should be 'object'")
        if tool.get("strict"):
            closed_form(tool["input_schema"], f"tools.{index}.custom.input_schema")
    if len(set(names)) < len(names):
        raise bad("tools: Tool names must be unique.")
    choice = an_object(body.get("tool_choice"))
    if choice and not given:
        raise bad("tool_choice: may only be specified while providing tools")
    if choice.get("type") == "tool" and choice["name"] not in names:
        raise bad(f"tool_choice.name: Tool '{choice['name']}' not found in provided tools")
    forced = choice.get("type") in ("any", "tool")
    if forced and any(model.family == family and model.since(*version) for family, version in _UNFORCED):
        raise bad(f"tool_choice.type: '{choice['type']}' is not supported on this model")
    if forced and an_object(body.get("thinking")).get("type") in ("enabled", "adaptive", "between_tools"):
        raise bad("Thinking may not be enabled when tool_choice forces tool use.")


def output(body: Json, model: Claude) -> None:
    config = an_object(body.get("output_config"))
    effort = config.get("effort")
    takes = not model.known or model.since(4, 6) or (model.family == "opus" and model.since(4, 5))
    if effort is not None and not takes:
        raise bad("output_config.effort: This model does not support the effort parameter.")
    least = {"xhigh": (4, 7), "max": (4, 6)}.get(effort or "")
    if least and model.known and not model.since(*least):
        raise bad(f"output_config.effort: '{effort}' is not supported on this model")
    form = config.get("format")
    if form is None:
        return
    if model.known and not model.since(4, 5) and (model.family, model.version) != ("opus", (4, 1)):
        raise bad("output_config.format: This model does not support output format.")
    closed_form(form["schema"], "output_config.format.schema")
    if any(to_cite(block) for _, block in blocks(body)):
        raise bad("output_config.format: citations and an output format exclude each other")


def breakpoints(body: Json) -> None:
    marked = [block for _, block in blocks(body) if block.get("cache_control")]
    given: list[Json] = body.get("tools") or []
    marked += [tool for tool in given if tool.get("cache_control")]
    count = len(marked) + bool(body.get("cache_control"))
    if count > _BREAKPOINTS:
        raise bad(f"A maximum of {_BREAKPOINTS} blocks with cache_control may be provided. Found {count}.")


def limit(body: Json, model: Claude) -> None:
    if body["max_tokens"] < 1:
        raise bad("max_tokens: Input should be greater than or equal to 1")
    if body["max_tokens"] > model.max_output:
        text = f"which is the maximum allowed number of output tokens for {body['model']}"
        raise bad(f"max_tokens: {body['max_tokens']} > {model.max_output}, {text}")


def thinking(body: Json, model: Claude, betas: list[str]) -> None:
    config = an_object(body.get("thinking"))
    match config.get("type"):
        case "enabled":
            if model.since(4, 7):
                raise bad("thinking.type: 'enabled' is not supported on this model; use 'adaptive' with output_config.effort")
            budget(config["budget_tokens"], body["max_tokens"], betas)
            starts_thinking(body["messages"])
        case "adaptive" | "between_tools" as kind:
            least = (4, 6) if kind == "adaptive" else (4, 7)
            if model.known and not model.since(*least):
                raise bad(f"thinking.type: '{kind}' is not supported on this model")
        case "disabled":
            if model.family in _OPEN or (model.family == "opus" and model.since(5, 5)):
                raise bad("thinking.type: 'disabled' is not supported on this model")
        case _:
            pass


def budget(tokens: int, most: int, betas: list[str]) -> None:
    if tokens < _BUDGET:
        raise bad(f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_BUDGET}")
    if tokens >= most and not any(beta.startswith("interleaved-thinking") for beta in betas):
        raise bad("`max_tokens` must be greater than `thinking.budget_tokens`")


def starts_thinking(messages: list[Json]) -> None:
    """While tools are being used, the last assistant turn begins with its reasoning."""
    rows = [row for row in turns(messages) if row[0] == "assistant"]
    if not rows:
        return
    _, index, parts = rows[-1]
    used = any(part["type"] == "tool_use" for part in parts)
    if used and parts[0]["type"] not in ("thinking", "redacted_thinking"):
        text = f"Expected `thinking` or `redacted_thinking`, but found `{parts[0]['type']}`"
        raise bad(f"messages.{index}.content.0.type: {text}. When `thinking` is enabled, an assistant turn must start with it.")
