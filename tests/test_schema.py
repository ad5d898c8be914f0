"""JSON Schema dialects: what Google's older one can say is said exactly, the rest reported; the input is never touched."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.losses import Losses
from interlingua.protocols.schema import from_openapi, to_openapi


def written(schema: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    before = copy.deepcopy(schema)
    losses = Losses()
    out = to_openapi(schema, "tools[0].schema", losses)
    assert schema == before, "the caller's schema was changed (pitfall 18)"
    return out, [(loss.path.removeprefix("tools[0].schema"), loss.how) for loss in losses]


EXACT = {
    "types in capitals": (
        {
            "type": "object",
            "title": "T",
            "properties": {"a_b": {"type": "string", "description": "d"}, "n": {"type": "array", "items": {"type": "number"}}},
            "required": ["a_b"],
        },
        {
            "type": "OBJECT",
            "title": "T",
            "properties": {"a_b": {"type": "STRING", "description": "d"}, "n": {"type": "ARRAY", "items": {"type": "NUMBER"}}},
            "required": ["a_b"],
        },
    ),
    "const is an enum of one (S3)": ({"const": "x"}, {"type": "STRING", "enum": ["x"]}),
    "a number that must be is a range of one": ({"const": 5}, {"type": "INTEGER", "minimum": 5, "maximum": 5}),
    "an enum of numbers is one of ranges": (
        {"type": "integer", "enum": [1, 3]},
        {"anyOf": [{"type": "INTEGER", "minimum": 1, "maximum": 1}, {"type": "INTEGER", "minimum": 3, "maximum": 3}]},
    ),
    "an enum with null": ({"enum": ["a", None]}, {"type": "STRING", "enum": ["a"], "nullable": True}),
    "null alone": ({"type": "null"}, {"type": "NULL"}),
    "a type or null": ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
    "several types": ({"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
    "anyOf with null": (
        {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "d"},
        {"type": "INTEGER", "description": "d", "nullable": True},
    ),
    "anyOf": (
        {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 1},
        {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}], "default": 1},
    ),
    "an exclusive bound of integers": (
        {"type": "integer", "exclusiveMinimum": 0, "minimum": -3, "exclusiveMaximum": 9.0},
        {"type": "INTEGER", "minimum": 1, "maximum": 8},
    ),
    "a type unsaid but clear": (
        {"properties": {"a": {"minLength": 1}}},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING", "minLength": 1}}},
    ),
    "references put in place": (
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"p": {"$ref": "#/$defs/Po~1int", "description": "where"}, "q": {"$ref": "#/properties/p"}},
            "$defs": {"Po/int": {"type": "object", "properties": {"x": {"type": "number", "format": "double"}}}},
        },
        {
            "type": "OBJECT",
            "properties": {
                "p": {
                    "type": "OBJECT",
                    "description": "where",
                    "properties": {"x": {"type": "NUMBER", "format": "double"}},
                },
                "q": {
                    "type": "OBJECT",
                    "description": "where",
                    "properties": {"x": {"type": "NUMBER", "format": "double"}},
                },
            },
        },
    ),
    "allOf joined": (
        {
            "allOf": [
                {"$ref": "#/$defs/A"},
                {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
            ],
            "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
        },
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}}, "required": ["a", "b"]},
    ),
    "one example": ({"type": "string", "examples": ["e"]}, {"type": "STRING", "example": "e"}),
    "additionalProperties true says nothing": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
    ),
    "a property may be called like a keyword": (
        {"type": "object", "properties": {"$ref": {"type": "string"}, "const": {"type": "string"}}},
        {"type": "OBJECT", "properties": {"$ref": {"type": "STRING"}, "const": {"type": "STRING"}}},
    ),
}


@pytest.mark.parametrize("case", EXACT.values(), ids=EXACT)
def test_what_the_dialect_can_say_is_said_without_a_loss(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert written(case[0]) == (case[1], [])


ANY = {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}, {"type": "BOOLEAN"}, {"type": "OBJECT"}], "nullable": True}
LOSSY = {
    "an exclusive bound of numbers": (
        {"type": "number", "exclusiveMinimum": 0.5},
        {"type": "NUMBER", "minimum": 0.5},
        [(".exclusiveMinimum", "changed")],
    ),
    "closed objects, deep": (
        {
            "type": "object",
            "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": False}},
        },
        {"type": "OBJECT", "properties": {"a": {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}}}},
        [(".properties.a.additionalProperties", "dropped")],
    ),
    "a format": ({"type": "string", "format": "uri"}, {"type": "STRING"}, [(".format", "dropped")]),
    "propertyNames": (
        {"type": "object", "propertyNames": {"pattern": "x"}},
        {"type": "OBJECT"},
        [(".propertyNames", "dropped")],
    ),
    "multipleOf in items": (
        {"type": "array", "items": {"type": "integer", "multipleOf": 2}},
        {"type": "ARRAY", "items": {"type": "INTEGER"}},
        [(".items.multipleOf", "dropped")],
    ),
    "oneOf": (
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
        [(".oneOf", "changed")],
    ),
    "anyOf beside properties": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
        [(".anyOf", "dropped")],
    ),
    "required of what is not described": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]},
        [(".required", "changed")],
    ),
    "a truth that must be": ({"const": True}, {"type": "BOOLEAN"}, [(".enum", "changed")]),
    "anything": ({"description": "d"}, {**ANY, "description": "d"}, [("", "changed")]),
    "an array of anything": ({"type": "array"}, {"type": "ARRAY", "items": ANY}, [(".items", "changed")]),
    "a reference to elsewhere": (
        {"$ref": "https://example.com/s.json"},
        ANY,
        [(".$ref", "dropped"), ("", "changed")],
    ),
    "allOf that disagrees": (
        {"allOf": [{"type": "string", "minLength": 1}, {"minLength": 2}]},
        {"type": "STRING", "minLength": 1},
        [(".allOf[1].minLength", "dropped")],
    ),
    "many examples": ({"type": "string", "examples": ["a", "b"]}, {"type": "STRING", "example": "a"}, [(".examples", "changed")]),
}


@pytest.mark.parametrize("case", LOSSY.values(), ids=LOSSY)
def test_what_it_cannot_say_is_reported_by_its_path(case: tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]) -> None:
    assert written(case[0]) == (case[1], case[2])


def test_recursion_is_cut_and_reported() -> None:
    node = {"type": "object", "properties": {"value": {"type": "string"}, "next": {"$ref": "#/$defs/Node"}}}
    out, losses = written({"$ref": "#/$defs/Node", "$defs": {"Node": node}})
    assert out == {"type": "OBJECT", "properties": {"value": {"type": "STRING"}, "next": {"type": "OBJECT"}}}
    assert losses == [(".properties.next", "changed")]
    assert written({"$ref": "#"})[0] == {"type": "OBJECT"}
    assert written({"allOf": [{"$ref": "#"}]})[0]


def test_references_that_multiply_end() -> None:
    defs: dict[str, Any] = {
        f"d{i}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/d{i + 1}"} for k in "abcdefgh"}} for i in range(30)
    }
    defs["d30"] = {"type": "string"}
    losses = Losses()
    to_openapi({"$ref": "#/$defs/d0", "$defs": defs}, "s", losses)
    assert 0 < len(losses) < 20_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(("string", "object", "null", "#/properties/a", "#")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("type", "properties", "items", "anyOf", "allOf", "$ref", "enum", "const", "required", "exclusiveMinimum", "a")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(("type", "properties", "items", "allOf", "anyOf", "$ref", "minimum", "format")), json_values, max_size=5
    )
)
def test_any_schema_is_written_and_read_and_left_alone(schema: dict[str, Any]) -> None:
    assert written(schema)[0]
    before = copy.deepcopy(schema)
    from_openapi(schema)
    assert schema == before


READ = {
    "types, and the names of properties left alone": (
        {
            "type": "OBJECT",
            "properties": {"any_of": {"type": "STRING", "format": "enum", "enum": ["a"]}},
            "propertyOrdering": ["any_of"],
        },
        {"type": "object", "properties": {"any_of": {"type": "string", "enum": ["a"]}}, "propertyOrdering": ["any_of"]},
    ),
    "null": ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
    "null among the values": (
        {"type": "STRING", "enum": ["a"], "nullable": True},
        {"type": ["string", "null"], "enum": ["a", None]},
    ),
    "null beside anyOf": ({"anyOf": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    "not null": ({"type": "STRING", "nullable": False}, {"type": "string"}),
    "int64 as a string": (
        {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": "2"},
        {"type": "array", "items": {"type": "string"}, "minItems": 2},
    ),
    "underscores": ({"any_of": [{"type": "STRING", "max_length": 3}]}, {"anyOf": [{"type": "string", "maxLength": 3}]}),
    "references": (
        {"ref": "#/defs/P", "defs": {"P": {"type": "OBJECT"}}},
        {"$ref": "#/$defs/P", "$defs": {"P": {"type": "object"}}},
    ),
    "an example": ({"type": "STRING", "example": "e"}, {"type": "string", "examples": ["e"]}),
    "unspecified": ({"type": "TYPE_UNSPECIFIED", "x": {"type": "STRING"}}, {"x": {"type": "STRING"}}),
    "JSON Schema already": ({"type": ["string", "null"], "const": None}, {"type": ["string", "null"], "const": None}),
}


@pytest.mark.parametrize("case", READ.values(), ids=READ)
def test_the_dialect_is_read_as_json_schema(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before = copy.deepcopy(case[0])
    assert from_openapi(case[0]) == case[1]
    assert case[0] == before


def test_written_and_read_again_it_is_the_same_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"], "maxLength": 3}, "b": {"type": "array", "items": {"type": "integer"}}},
        "required": ["a"],
    }
    assert from_openapi(written(schema)[0]) == schema
