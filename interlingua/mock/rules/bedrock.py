"""What Bedrock's Converse refuses beyond structure: from the user guide, the API reference's restrictions and errors seen.

Paths are written as the vendor does: messages.0.content.1. Facts about models are the mock's own; Claude's, which Bedrock
passes on, are those of `anthropic.py`.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlingua.mock import seal
from interlingua.mock.rules.anthropic import Claude, budget, claude
from interlingua.mock.rules.anthropic_form import closed_form
from interlingua.mock.scenarios import known_model
from interlingua.mock.shape import Violation
from interlingua.mock.wire import Json, Options, Refusal, a_list, an_object, bad

ORIGIN: Final = "anthropic"  # Claude's signatures hold on every platform

_MODEL: Final = re.compile(
    r"([a-z]{2,6}\.)?(anthropic|amazon|meta|mistral|openai|cohere|deepseek|qwen|ai21|google|moonshot)\.[\w.:-]+"
)
_ARN: Final = re.compile(r"arn:aws(-[^:]+)?:(bedrock|sagemaker):[a-z0-9-]{1,20}:([0-9]{12})?:[\w/.:-]+")
_NAME: Final = re.compile(r"[a-zA-Z0-9()\[\]-]+( [a-zA-Z0-9()\[\]-]+)*")
_CACHE_POINTS: Final = 4
_DOCUMENTS, _IMAGES = 5, 20
_MEDIA: Final = ("image", "document", "video", "audio")


class Kin(Struct, frozen=True):
    """A family of models. `mixed_*`: words may stand beside results, and beside calls. `own`: fields of its own API."""

    media: tuple[str, ...] = _MEDIA
    choices: tuple[str, ...] = ("auto", "any", "tool")
    mixed_results: bool = True
    mixed_calls: bool = True
    caches: tuple[str, ...] = ("tools", "system", "messages")
    schemas: bool = True
    statuses: bool = True
    own: tuple[str, ...] | None = None  # None: anything
    cites: bool = False


_KIN: Final[tuple[tuple[str, Kin], ...]] = (
    ("anthropic.claude-3-haiku", Kin(media=("image", "document"))),
    ("anthropic.claude", Kin(media=("image", "document"), cites=True)),
    (
        "amazon.nova-2",
        Kin(mixed_results=False, caches=("system", "messages"), schemas=False, own=("inferenceConfig", "reasoningConfig")),
    ),
    ("amazon.nova", Kin(mixed_results=False, caches=("system", "messages"), schemas=False, own=("inferenceConfig",))),
    (
        "meta.llama",
        Kin(
            media=("image", "document"),
            choices=("auto",),
            mixed_results=False,
            mixed_calls=False,
            caches=(),
            schemas=False,
            statuses=False,
            own=(),
        ),
    ),
    ("mistral.", Kin(choices=("auto", "any"), mixed_results=False, caches=(), statuses=False, own=("top_k",))),
    ("openai.", Kin(media=(), caches=(), statuses=False, own=("reasoning_effort",))),
)


def kin(model: str) -> Kin:
    return next((row for name, row in _KIN if name in model), Kin())


def structure(fault: Violation) -> Refusal:
    """A violation of the service model in AWS's words."""
    match fault.kind:
        case "unknown":
            told = "is not a member of its structure"
        case "missing":
            told = "failed to satisfy constraint: Member must not be null"
        case "type":
            return Refusal("json", f"{fault.dotted} can not be read as {' or '.join(fault.wanted)}")
        case "value":
            told = f"failed to satisfy constraint: {', '.join(fault.wanted)}"
    return bad(f"1 validation error detected: Value at '{fault.dotted}' {told}")


def check(body: Json, model: str, options: Options) -> None:
    """Every rule of a request whose structure is right."""
    known(model, options)
    row, told = kin(model), claude(model)
    messages: list[Json] = a_list(body.get("messages"))
    roles(messages, told)
    for where, block in blocks(body):
        content_block(where, block, row, told)
    for index, message in enumerate(messages):
        turn(f"messages.{index}", message, row)
    tool_pairs(messages)
    documents(messages, row)
    search_results(messages, row)
    tools(body, row, told)
    cache_points(body, row)
    inference(body, told)
    more(body, row, told)
    output(body, row, told)


def known(model: str, options: Options) -> None:
    if not (_MODEL.fullmatch(model) or _ARN.fullmatch(model) or known_model(model) or options.any_model):
        raise bad("The provided model identifier is invalid.")


# Messages


def roles(messages: list[Json], told: Claude) -> None:
    if not messages:
        raise bad("1 validation error detected: Value at 'messages' failed to satisfy constraint: Member must not be empty")
    last = ""
    for index, message in enumerate(messages):
        role = message["role"]
        if not index and role != "user":
            raise bad(
                "A conversation must start with a user message. Try again with a conversation that starts with a user message."
            )
        if role == "system":
            if not told.known or not told.since(4, 8) or last != "user":
                raise bad(f"messages.{index}: a system message is not supported here")
            continue
        if role == last:
            told_why = "Make sure the conversation alternates between user and assistant roles and try again."
            raise bad(f"A conversation must alternate between user and assistant roles. {told_why}")
        last = role
        if not message["content"]:
            raise bad(f"The content field in the Message object at messages.{index} is empty. Add a ContentBlock object to it.")


def blocks(body: Json) -> Iterator[tuple[str, Json]]:
    for number, block in enumerate(a_list(body.get("system"))):
        yield f"system.{number}", block
    for index, message in enumerate(a_list(body.get("messages"))):
        for number, block in enumerate(message["content"]):
            yield f"messages.{index}.content.{number}", block


def content_block(where: str, block: Json, row: Kin, told: Claude) -> None:
    if "text" in block and not block["text"].strip():
        raise bad(f"The text field in the ContentBlock object at {where} is blank. Add text to the text field, and try again.")
    for kind in _MEDIA:
        if kind in block and kind not in row.media:
            raise bad(f"This model doesn't support the {kind} content block that you provided.")
    thought = an_object(an_object(block.get("reasoningContent")).get("reasoningText"))
    if thought and told.known and not seal.holds(ORIGIN, thought["text"], thought.get("signature") or ""):
        raise bad(f"The model returned the following errors: {where}: Invalid `signature` in `thinking` block")
    hidden = an_object(block.get("reasoningContent")).get("redactedContent")
    if hidden is not None and not seal.is_token_bytes(ORIGIN, hidden):
        raise bad(f"The model returned the following errors: {where}: Invalid `data` in `redacted_thinking` block")
    if "toolUse" in block and told.known and not isinstance(block["toolUse"]["input"], dict):
        raise bad(
            f"The format of the value at {where}.toolUse.input is invalid. Provide a json object for the field and try again."
        )
    for said in a_list(an_object(block.get("citationsContent")).get("citations")):
        if "searchResultLocation" in an_object(said.get("location")):  # handed on without its type (langchain-aws#1175)
            raise bad(f"The model returned the following errors: {where}.citations.0.type: Field required")
    if "status" in an_object(block.get("toolResult")) and not row.statuses:
        raise bad(f"This model doesn't support the status field at {where}.toolResult.")


def ran_itself(block: Json) -> bool:
    """Whether a block tells of a tool that Bedrock ran, which it does within the assistant's turn."""
    return "type" in (an_object(block.get("toolUse")) or an_object(block.get("toolResult")))


def turn(where: str, message: Json, row: Kin) -> None:
    """What may stand together in one message."""
    kinds = ["its own" if ran_itself(block) else next(iter(block)) for block in message["content"]]
    others = [kind for kind in kinds if kind not in ("toolUse", "toolResult", "cachePoint")]
    if message["role"] != "user" and any(kind in kinds for kind in _MEDIA):
        raise bad(f"{where}: images, documents and the like can only be in messages of the user role.")
    if message["role"] != "assistant" and "toolUse" in kinds:
        raise bad(f"{where}: toolUse blocks can only be in messages of the assistant role.")
    if message["role"] != "user" and "toolResult" in kinds:
        raise bad(f"{where}: toolResult blocks can only be in messages of the user role.")
    if "toolResult" in kinds and others and not row.mixed_results:
        raise bad(f"{where}.content: Conversation blocks and tool result blocks cannot be provided in the same turn.")
    if "toolUse" in kinds and others and not row.mixed_calls:
        raise bad(f"{where}.content: Conversation blocks and tool use blocks cannot be provided in the same turn.")


def tool_pairs(messages: list[Json]) -> None:
    """Each toolUse has its toolResult in the next message, before all else, and no result stands elsewhere."""
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "system":
            continue
        where = f"messages.{index}.content"
        told = [block for block in message["content"] if not ran_itself(block)]
        results = [block["toolResult"]["toolUseId"] for block in told if "toolResult" in block]
        if len(results) > len(waiting):
            raise bad(f"The number of toolResult blocks at {where} exceeds the number of toolUse blocks of previous turn.")
        missing = [name for name in waiting if name not in results]
        if missing:
            raise bad(f"Expected toolResult blocks at {where} for the following Ids: {', '.join(missing)}")
        kinds = [next(iter(block)) for block in message["content"] if "cachePoint" not in block]
        if results and "toolResult" in kinds[len(results) :]:
            raise bad(f"The model returned the following errors: {where}: `tool_result` blocks must come first in the content")
        waiting = [block["toolUse"]["toolUseId"] for block in told if "toolUse" in block]
        if len(set(waiting)) < len(waiting):
            raise bad(f"{where}: toolUseIds must be unique.")
    if waiting:
        raise bad(f"Expected toolResult blocks at messages.{len(messages)}.content for the following Ids: {', '.join(waiting)}")


def documents(messages: list[Json], row: Kin) -> None:
    names: set[str] = set()
    count = images = 0
    for index, message in enumerate(messages):
        found = [block["document"] for block in message["content"] if "document" in block]
        words = any("text" in block or "guardContent" in block for block in message["content"])
        if found and not words:
            raise bad(f"A text block must be included in messages.{index} when documents are included.")
        for document in found:
            cited(document, row)
        for block in message["content"]:
            held = [inner["document"] for inner in inside(block) if "document" in inner]
            if any(map(to_cite, held)):
                raise bad("Citations are not supported in tool result documents.")
            found += held
        images += sum("image" in block for block in message["content"])
        count += len(found)
        for document in found:
            document_name(document["name"], names)
    if count > _DOCUMENTS or images > _IMAGES:
        raise bad(f"A conversation can hold {_DOCUMENTS} documents and {_IMAGES} images.")


def to_cite(shown: Json) -> bool:
    """Whether a document, or a search result, is to be cited."""
    return bool(an_object(shown.get("citations")).get("enabled"))


def inside(block: Json) -> list[Json]:
    return a_list(an_object(block.get("toolResult")).get("content"))


def search_results(messages: list[Json], row: Kin) -> None:
    """Which models take them is said in the service model; the rest is Claude's."""
    shown = [block for message in messages for outer in message["content"] for block in (outer, *inside(outer))]
    results: list[Json] = [block["searchResult"] for block in shown if "searchResult" in block]
    if results and not row.cites:
        raise bad("This model doesn't support the searchResult content block that you provided.")
    if any(not result["content"] or not all(part["text"].strip() for part in result["content"]) for result in results):
        raise bad("The model returned the following errors: search results must contain at least one text block, and none blank")
    if len(set(map(to_cite, results))) > 1:
        raise bad("The model returned the following errors: citations must be enabled for all search results or for none")


def cited(document: Json, row: Kin) -> None:
    """What boto3#4608, boto3#4726 and harness-sdk#3582 saw refused. A text's bytes are taken for a PDF's."""
    source = document["source"]
    if not to_cite(document):
        if "text" in source or "content" in source:
            raise bad("Text and content sources are only supported when citations are enabled.")
        return
    if not row.cites:
        raise bad("This model doesn't support citations.")
    if document.get("format") not in ("pdf", "txt"):
        raise bad("Unsupported document format. Only txt and pdf formats are supported when citations are enabled")
    if document["format"] == "txt" and "bytes" in source:
        raise bad(
            "The model returned the following errors: messages.0.content.1.image.source.bytes: The PDF specified was not valid."
        )


def document_name(name: str, names: set[str]) -> None:
    if not _NAME.fullmatch(name):
        raise bad(
            "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and "
            "square brackets. The name can't contain more than one consecutive whitespace character. "
            "Check that the file name conforms to these restrictions and retry your request."
        )
    if name in names:
        raise bad(f"Two documents have the name {name}. Each document's name must be unique.")
    names.add(name)


# Tools and caching


def tools(body: Json, row: Kin, told: Claude) -> None:
    config = an_object(body.get("toolConfig"))
    used = any("toolUse" in block or "toolResult" in block for _, block in blocks(body))
    if used and not config:
        raise bad("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    specs: list[Json] = [tool["toolSpec"] for tool in config.get("tools", []) if "toolSpec" in tool]
    names = [spec["name"] for spec in specs]
    if len(set(names)) < len(names):
        raise bad("The model returned the following errors: tools: Tool names must be unique.")
    for index, spec in enumerate(specs):
        where = f"toolConfig.tools.{index}.toolSpec"
        schema = an_object(spec["inputSchema"].get("json"))
        if schema.get("type") != "object":
            raise bad(f"The value at {where}.inputSchema.json.type must be one of the following: object.")
        if "strict" in spec and not (row.schemas and (not told.known or told.since(4, 5))):
            raise bad(f"{where}.strict: This model doesn't support strict tools.")
        if spec.get("strict"):
            closed_form(schema, f"{where}.inputSchema.json")
    tool_choice(an_object(config.get("toolChoice")), names, row, told)


def tool_choice(choice: Json, names: list[str], row: Kin, told: Claude) -> None:
    for kind in choice:
        if kind not in row.choices or (kind != "auto" and told.family == "opus" and told.since(5, 5)):
            raise bad(f"This model doesn't support the toolConfig.toolChoice.{kind} field. Remove toolConfig.toolChoice.{kind}.")
    if "tool" in choice and choice["tool"]["name"] not in names:
        raise bad(f"The tool {choice['tool']['name']} at toolConfig.toolChoice.tool.name is not defined in toolConfig.tools.")


def cache_points(body: Json, row: Kin) -> None:
    config = an_object(body.get("toolConfig"))
    sections = [("tools", a_list(config.get("tools"))), ("system", a_list(body.get("system")))]
    sections += [("messages", message["content"]) for message in a_list(body.get("messages"))]
    count = 0
    for section, rows in sections:
        for number, block in enumerate(rows):
            if "cachePoint" not in block:
                continue
            count += 1
            if section not in row.caches:
                raise Refusal("permission", "You invoked an unsupported model or your request did not allow prompt caching.")
            before: Json = rows[number - 1] if number else {}
            if "reasoningContent" in before:
                raise bad(
                    "Cache point cannot be inserted after reasoning block. Please remove the invalid cache point and try again."
                )
            if "document" in before and before["document"].get("format") != "pdf":
                raise bad(f"The model returned the following errors: messages.0.content.{number}.type: Field required")
    if count > _CACHE_POINTS:
        raise bad(
            f"The model returned the following errors: A maximum of {_CACHE_POINTS} cache points may be provided. Found {count}."
        )


# Parameters


def inference(body: Json, told: Claude) -> None:
    config = an_object(body.get("inferenceConfig"))
    sampled = [name for name in ("temperature", "topP") if name in config]
    if told.since(4, 7) and sampled:
        raise bad(f"The model returned the following errors: `{sampled[0]}` is not supported for this model.")
    if told.since(4, 5) and len(sampled) == 2:
        raise bad("The model returned the following errors: `temperature` and `top_p` cannot both be specified for this model.")
    if told.known and config.get("maxTokens", 1) > told.max_output:
        text = f"{told.max_output}. Try again with a maximum tokens value that is lower than {told.max_output}."
        raise bad(f"The maximum tokens you requested exceeds the model limit of {text}")
    for number, stop in enumerate(a_list(config.get("stopSequences"))):
        if not stop.strip():
            raise bad(f"The stop sequence at inferenceConfig.stopSequences.{number} is blank.")


def more(body: Json, row: Kin, told: Claude) -> None:
    """additionalModelRequestFields: what the model's own API takes."""
    fields = an_object(body.get("additionalModelRequestFields"))
    strange = [name for name in fields if row.own is not None and name not in row.own]
    if strange:
        raise bad(f"The model returned the following errors: extraneous key [{strange[0]}] is not permitted")
    if told.since(4, 7) and "top_k" in fields:
        raise bad("The model returned the following errors: `top_k` is not supported for this model.")
    thinking = an_object(fields.get("thinking"))
    match thinking.get("type"):
        case "enabled" if told.since(4, 7):
            raise bad("The model returned the following errors: thinking.type.enabled is not supported for this model.")
        case "enabled":
            most = an_object(body.get("inferenceConfig")).get("maxTokens") or told.max_output
            budget(thinking.get("budget_tokens") or 0, most, a_list(fields.get("anthropic_beta")))
            starts_thinking(a_list(body.get("messages")))
        case "adaptive" if told.known and not told.since(4, 6):
            raise bad("The model returned the following errors: adaptive thinking is not supported on this model")
        case _:
            return
    forced = an_object(an_object(body.get("toolConfig")).get("toolChoice"))
    if forced.keys() - {"auto"}:
        raise bad("The model returned the following errors: Thinking may not be enabled when tool_choice forces tool use.")


def starts_thinking(messages: list[Json]) -> None:
    """While tools are being used, the last assistant turn begins with its reasoning."""
    turns = [message["content"] for message in messages if message["role"] == "assistant"]
    if turns and any("toolUse" in block for block in turns[-1]) and "reasoningContent" not in turns[-1][0]:
        raise bad("The model returned the following errors: Expected `thinking` or `redacted_thinking`, but found `tool_use`.")


def output(body: Json, row: Kin, told: Claude) -> None:
    config = an_object(body.get("outputConfig"))
    effort = config.get("effort")
    if effort is not None and effort not in ("low", "medium", "high", "xhigh", "max"):
        raise bad("The value at outputConfig.effort must be one of low, medium, high, xhigh, max.")
    if effort is not None and told.known and not told.since(4, 5):
        raise bad("This model doesn't support the outputConfig.effort field.")
    form = an_object(config.get("textFormat"))
    if not form:
        return
    if not row.schemas or (told.known and not told.since(4, 5)):
        raise bad("This model doesn't support the outputConfig.textFormat field.")
    closed_form(schema_of(form), "outputConfig.textFormat.structure.jsonSchema.schema")


def schema_of(form: Json) -> Json:
    """The JSON Schema that an output format holds in a string."""
    try:
        value: Any = msgspec.json.decode(form["structure"]["jsonSchema"]["schema"])
    except (msgspec.DecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise bad("The value at outputConfig.textFormat.structure.jsonSchema.schema is not a valid JSON schema.")
    return an_object(value)
