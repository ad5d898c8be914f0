"""The mock's structural truth: JSON Schemas of what each vendor's API takes, drawn from the SDKs that are installed.

    python -m tools.mock_schemas            writes interlingua/mock/schemas/*.json
    python -m tools.mock_schemas --check    1 when a file differs from what the SDKs say

Only names and types are kept, no prose. OpenAI and Anthropic: the TypedDicts of the request, joined with the response
classes where a client sends an answer back as it came. Gemini: the SDK's types, less what its own converters refuse to
send to the Gemini API (`_*_to_mldev`) and what it marks as unsupported there; an enum that the SDK leaves open comes from
the discovery document. (All else the discovery document knows beyond the SDK is Vertex AI's alone.)
Unions are told apart by OpenAPI's `discriminator`, or by JSON type with a keyword of our own, `x-by-type`: one look-up, and a
violation has one exact path. (`interlingua/mock/shape.py` knows both.)
"""

import ast
import enum
import inspect
import json
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints

import typing_extensions
from pydantic import BaseModel

from tools.mock_bedrock_schema import bedrock
from tools.mock_embedding_schemas import embeddings

Json = dict[str, Any]
Fields = dict[str, tuple[bool, list[Any]]]  # name -> (required, the types it may have)

TARGET: Final = Path(__file__).parent.parent / "interlingua" / "mock" / "schemas"
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
DISCOVERY: Final = "documents/aiplatform.v1beta1.json"
DISCRIMINATORS: Final = ("type", "role")
SCALARS: Final[dict[Any, str]] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_LITERALS: Final = (Literal, typing_extensions.Literal)
_REQUIRED: Final = (typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly)


def _flatten(kind: Any) -> Iterator[Any]:
    """The members of a type, unions opened and wrappers taken off."""
    origin = get_origin(kind)
    if isinstance(kind, typing_extensions.TypeAliasType):
        yield from _flatten(kind.__value__)
    elif origin is Annotated or origin in _REQUIRED:
        yield from _flatten(get_args(kind)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(kind):
            yield from _flatten(member)
    else:
        yield kind


def _is_object(kind: Any) -> bool:
    return typing_extensions.is_typeddict(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel))


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) in (dict, Mapping) or kind is dict


class Writer:
    """Python types to JSON Schema. `defs` fills as it goes: one definition for each object type or merged group."""

    def __init__(self, also: dict[type, list[type]] | None = None) -> None:
        self.defs: dict[str, Json] = {}
        self.also = also or {}

    def document(self, *roots: Any) -> Json:
        return {"$schema": DRAFT, **self.object_ref(list(roots)), "$defs": dict(sorted(self.defs.items()))}

    # What a dialect may change.

    def fields(self, kind: Any) -> Fields:
        if typing_extensions.is_typeddict(kind):
            hints = get_type_hints(kind, include_extras=True)
            needed: frozenset[str] = kind.__required_keys__
            return {
                name: (name in needed or get_origin(hint) is typing_extensions.Required, [hint]) for name, hint in hints.items()
            }
        model = cast(type[BaseModel], kind)
        return {field.alias or name: (field.is_required(), [field.annotation]) for name, field in model.model_fields.items()}

    def scalar(self, kind: Any) -> Json | None:
        if kind is datetime:
            return {"type": "string"}
        return {"type": SCALARS[kind]} if kind in SCALARS else None

    # Types.

    def schema(self, kinds: Iterable[Any]) -> Json:
        members = [member for kind in kinds for member in _flatten(kind)]
        if any(member in (Any, object) for member in members):
            return {}
        groups = self._by_json_type(members)
        if len(groups) == 1:
            return next(iter(groups.values()))
        kinds_of = sorted(groups)
        special = [(name, schema) for name, schema in sorted(groups.items()) if schema != {"type": name}]
        out: Json = {"type": kinds_of}
        if special:
            out["x-by-type"] = dict(special)
        return out

    def _by_json_type(self, members: list[Any]) -> dict[str, Json]:
        groups: dict[str, Json] = {}
        objects: list[Any] = []
        arrays: list[Any] = []
        for member in members:
            if _is_object(member) or _is_mapping(member):
                objects.append(member)
            elif get_origin(member) in (list, Iterable, Sequence) or "SequenceNotStr" in str(member):
                arrays.append(get_args(member)[0])
            elif plain := self._plain(member):
                self._join(groups, plain)
        if objects:
            groups["object"] = self.objects(objects)
        if arrays:
            groups["array"] = {"type": "array", "items": self.schema(arrays)}
        return groups

    def _plain(self, member: Any) -> Json | None:
        if get_origin(member) in _LITERALS:
            values = sorted(get_args(member))  # `typing` caches literals, so their order hangs on what was imported first
            return {"type": SCALARS[type(values[0])], "enum": values}
        if isinstance(member, type) and issubclass(member, enum.Enum):
            return self.enum(member)
        return self.scalar(member)

    def enum(self, kind: type[enum.Enum]) -> Json:
        return {"type": "string", "enum": sorted(str(item.value) for item in kind)}

    @staticmethod
    def _join(groups: dict[str, Json], schema: Json) -> None:
        name = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
        before = groups.get(name)
        if before is None:
            groups[name] = schema
        elif "enum" in before and "enum" in schema:
            groups[name] = {**schema, "enum": sorted({*before["enum"], *schema["enum"]})}
        else:  # a literal beside the whole type: the whole type
            groups[name] = schema if "enum" in before else before
        if groups[name].get("enum") == [False, True]:
            groups[name] = {"type": "boolean"}

    # Objects.

    def objects(self, kinds: list[Any]) -> Json:
        if any(_is_mapping(kind) and self._value_of(kind) == {} for kind in kinds):
            return {"type": "object"}
        if mapping := next((kind for kind in kinds if _is_mapping(kind)), None):
            return {"type": "object", "additionalProperties": self._value_of(mapping)}
        groups = self._by_discriminator(kinds)
        if groups is None:
            return self.object_ref(kinds)
        key, rows = groups
        if len(rows) == 1:
            return self.object_ref(next(iter(rows.values())))
        values = [value for value in rows if value is not None]
        mapping = {value or "": self.object_ref(members)["$ref"] for value, members in rows.items()}
        out: Json = {"type": "object", "discriminator": {"propertyName": key, "mapping": mapping}}
        if None in rows:  # the key may be left out, or null
            return {**out, "properties": {key: {"enum": [*values, None]}}}
        return {**out, "required": [key], "properties": {key: {"enum": values}}}

    def _value_of(self, mapping: Any) -> Json:
        return self.schema(get_args(mapping)[1:]) if get_args(mapping) else {}

    def _by_discriminator(self, kinds: list[Any]) -> tuple[str, dict[str | None, list[Any]]] | None:
        """The field whose literal tells these types apart, and its values. None stands for the type that may leave it out."""
        if len(kinds) < 2:
            return None
        for key in DISCRIMINATORS:
            rows: dict[str | None, list[Any]] = {}
            for kind in kinds:
                needed, hints = self.fields(kind).get(key, (False, []))
                for value in self._literals(hints):
                    rows.setdefault(value, []).append(kind)
                if hints and not needed:
                    rows.setdefault(None, []).append(kind)
            if {kind for members in rows.values() for kind in members} == set(kinds):
                return key, dict(sorted(rows.items(), key=lambda row: row[0] or ""))
        return None

    @staticmethod
    def _literals(hints: list[Any]) -> list[str]:
        members = [member for hint in hints for member in _flatten(hint)]
        return [value for member in members if get_origin(member) in _LITERALS for value in sorted(get_args(member))]

    def object_ref(self, kinds: list[Any]) -> Json:
        """One definition for these types together: every field of any, required where all require it."""
        both = {other for kind in kinds for other in [kind, *self.also.get(kind, [])]}
        group = sorted(both, key=lambda kind: (issubclass(kind, BaseModel), kind.__name__, kind.__module__))
        name = "+".join(dict.fromkeys(kind.__name__ for kind in group))
        name = name if self.defs.get(name, {}).get("x-of", group) == group else f"{group[0].__module__.rsplit('.', 1)[-1]}.{name}"
        if name not in self.defs:
            self.defs[name] = {"x-of": group}
            self.defs[name] = {**self._object(group), "x-of": group}
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, group: list[Any]) -> Json:
        rows = [self.fields(kind) for kind in group]
        names = dict.fromkeys(name for row in rows for name in row)
        properties = {name: self.schema([kind for row in rows for kind in row.get(name, (False, []))[1]]) for name in names}
        required = [name for name in names if all(row.get(name, (False, []))[0] for row in rows)]
        configs = [cast(Json, getattr(kind, "__pydantic_config__", None) or {}) for kind in group]
        closed = not any(config.get("extra") == "allow" for config in configs)
        out: Json = {"type": "object", "properties": properties}
        return out | ({"required": required} if required else {}) | ({"additionalProperties": False} if closed else {})


class AnthropicWriter(Writer):
    HEADERS: Final = {"user_profile_id", "workspace_id", "betas"}  # parameters of the SDK that travel as headers

    def fields(self, kind: Any) -> Fields:
        return {name: field for name, field in super().fields(kind).items() if name not in self.HEADERS}


# Gemini


def _converters() -> dict[str, dict[str, list[str]]]:
    """What each `_X_to_mldev` writes: X -> {"own": field names, "parent": names it puts on the request, "refused": ...}."""
    found: dict[str, dict[str, list[str]]] = {}
    tree = ast.parse(inspect.getsource(import_module("google.genai.models")))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_to_mldev"):
            rows: dict[str, list[str]] = {"own": [], "parent": []}
            for call in (n for n in ast.walk(node) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "setv"):
                target, path = call.args[0], call.args[1]
                if isinstance(target, ast.Name) and isinstance(path, ast.List) and isinstance(path.elts[0], ast.Constant):
                    rows["parent" if target.id == "parent_object" else "own"].append(str(path.elts[0].value))
            found[node.name[1 : -len("_to_mldev")]] = rows
    return found


class GeminiWriter(Writer):
    """Protocol-buffer JSON: a field may be null, a number may be a string, bytes are base64, an enum is found in any case."""

    # The SDK inlines or refuses these before it sends a Schema to the Gemini API (`t_schema`, `process_schema`).
    LACKS: Final[dict[str, set[str]]] = {"Schema": {"additionalProperties", "defs", "ref"}}
    INTEGERS: Final = {"topK"}  # typed float by the SDK, an int32 of the API
    UNSUPPORTED: Final = "not supported in Gemini API"

    def __init__(self) -> None:
        super().__init__()
        self.converters = _converters()
        self.genai: Any = import_module("google.genai.types")

    def fields(self, kind: Any) -> Fields:
        if typing_extensions.is_typeddict(kind):
            return super().fields(kind)
        allowed = self.converters.get(kind.__name__, {}).get("own")
        lacks = self.LACKS.get(kind.__name__, set())
        out: Fields = {}
        for name, field in kind.model_fields.items():
            wire = field.alias or name
            known = wire in allowed if allowed else self.UNSUPPORTED not in (field.description or "")
            if known and wire not in lacks:
                out[wire] = (False, [int if wire in self.INTEGERS else field.annotation])
        return out

    def scalar(self, kind: Any) -> Json | None:
        if kind is bytes:
            return {"type": "string", "pattern": "^[A-Za-z0-9+/_-]*={0,2}$", "contentEncoding": "base64"}
        if kind in (int, float):
            return {"type": [SCALARS[kind], "string"], "pattern": r"^-?\d+(\.\d+)?$"}
        return super().scalar(kind)

    def enum(self, kind: type[enum.Enum]) -> Json:
        values = {str(item.value) for item in kind}
        return {
            "type": "string",
            "enum": sorted(values | {value.lower() for value in values} | {value.upper() for value in values}),
        }

    def schema(self, kinds: Iterable[Any]) -> Json:
        members = [member for kind in kinds for member in _flatten(kind) if member is not type(None)]
        return super().schema(member for member in members if member not in (type, types.GenericAlias, types.UnionType))

    def request(self) -> Json:
        config = self.genai.GenerateContentConfig
        rows = self.converters["GenerateContentConfig"]
        kinds = {(field.alias or name): field.annotation for name, field in config.model_fields.items()}
        special = self._special()
        own = {name: special.get(name) or self.schema([int if name in self.INTEGERS else kinds[name]]) for name in rows["own"]}
        above = {name: special.get(name) or self.schema([kinds[name]]) for name in rows["parent"]}
        self.defs["GenerationConfig"] = {"type": "object", "properties": own, "additionalProperties": False}
        contents = {"type": "array", "items": self.object_ref([self.genai.Content])}
        fields = {
            "contents": contents,
            "generationConfig": {"$ref": "#/$defs/GenerationConfig"},
            "model": {"type": "string"},
            **above,
        }
        self.defs["GenerateContentRequest"] = {"type": "object", "properties": fields, "additionalProperties": False}
        count = {
            "contents": contents,
            "generateContentRequest": {"$ref": "#/$defs/GenerateContentRequest"},
            "model": {"type": "string"},
        }
        self.defs["CountTokensRequest"] = {"type": "object", "properties": count, "additionalProperties": False}
        return {"$schema": DRAFT, "$ref": "#/$defs/GenerateContentRequest", "$defs": dict(sorted(self.defs.items()))}

    def content(self) -> tuple[Json, Json]:
        """A Content's schema, and the definitions it needs."""
        return self.object_ref([self.genai.Content]), self.defs

    def _special(self) -> dict[str, Json]:
        """Fields whose Python type is friendlier than the wire's."""
        genai = self.genai
        return {
            "systemInstruction": self.object_ref([genai.Content]),
            "responseSchema": self.object_ref([genai.Schema]),
            "responseJsonSchema": {},
            "speechConfig": self.object_ref([genai.SpeechConfig]),
            "tools": {"type": "array", "items": self.object_ref([genai.Tool])},
            "responseModalities": {"type": "array", "items": {"type": "string", "enum": self._modalities()}},
        }

    def _modalities(self) -> list[str]:
        """The SDK leaves these open strings; the discovery document names them."""
        text = (files("googleapiclient.discovery_cache") / DISCOVERY).read_text(encoding="utf-8")
        config = json.loads(text)["schemas"]["GoogleCloudAiplatformV1beta1GenerationConfig"]
        values: list[str] = config["properties"]["responseModalities"]["items"]["enum"]
        return sorted({*values, *(value.lower() for value in values)})


def openai() -> Json:
    chat = import_module("openai.types.chat")
    params = import_module("openai.types.chat.completion_create_params")
    also: dict[type, list[type]] = {  # an answer is sent back as it came
        chat.ChatCompletionAssistantMessageParam: [chat.ChatCompletionMessage],
    }
    return Writer(also).document(params.CompletionCreateParamsNonStreaming, params.CompletionCreateParamsStreaming)


def openai_embeddings() -> Json:
    return Writer().document(import_module("openai.types.embedding_create_params").EmbeddingCreateParams)


def responses() -> Json:
    params = import_module("openai.types.responses.response_create_params")
    said = import_module("openai.types.responses")
    shown = import_module("openai.types.responses.response_input_item_param")
    also: dict[type, list[type]] = {  # an answer is sent back as it came
        shown.ResponseOutputMessageParam: [said.ResponseOutputMessage],
        shown.ResponseFunctionToolCallParam: [said.ResponseFunctionToolCall],
        shown.ResponseReasoningItemParam: [said.ResponseReasoningItem],
        shown.ResponseCustomToolCallParam: [said.ResponseCustomToolCall],
    }
    return Writer(also).document(params.ResponseCreateParamsNonStreaming, params.ResponseCreateParamsStreaming)


def anthropic(module: str = "anthropic.types") -> Json:
    params = import_module(f"{module}.message_create_params")
    return AnthropicWriter().document(params.MessageCreateParamsNonStreaming, params.MessageCreateParamsStreaming)


def anthropic_count(module: str = "anthropic.types") -> Json:
    return AnthropicWriter().document(import_module(f"{module}.message_count_tokens_params").MessageCountTokensParams)


def _write(document: Json) -> str:
    """One definition a line: small, and a change shows where it is."""
    lines: list[str] = []
    for name, schema in document.pop("$defs").items():
        schema.pop("x-of", None)
        lines.append(f"{json.dumps(name)}: {json.dumps(schema, separators=(',', ':'))}")
    head = json.dumps(document, separators=(",", ":"))
    return head[:-1] + ',"$defs":{\n' + ",\n".join(lines) + "\n}}\n"


def documents() -> dict[str, str]:
    """Every schema file: name -> text."""
    return {
        "openai.json": _write(openai()),
        "responses.json": _write(responses()),
        "anthropic.json": _write(anthropic()),
        "anthropic_beta.json": _write(anthropic("anthropic.types.beta")),
        "anthropic_count.json": _write(anthropic_count()),
        "gemini.json": _write(GeminiWriter().request()),
        "bedrock.json": _write(bedrock(DRAFT)),
        "embeddings.json": _write(embeddings(DRAFT, openai_embeddings(), GeminiWriter().content)),
    }


def main(arguments: list[str]) -> int:
    stale = 0
    for name, text in documents().items():
        path = TARGET / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before == text:
            continue
        stale += 1
        print(f"{name}: {'differs from the SDKs' if '--check' in arguments else 'written'}")
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
