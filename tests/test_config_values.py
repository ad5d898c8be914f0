"""The values a configuration is written in, the credentials it leads to, and the line each of its keys stands on."""

import pickle
import tomllib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.config import Base, Secret
from interlingua.config.document import written
from interlingua.config.lines import toml_lines
from interlingua.config.values import address, duration, env_name, hedge, key_text, size
from interlingua.hosts import HOSTS

# Values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("15s", 15), ("2m", 120), ("1h", 3600), ("1.5s", 1.5), ("0s", 0), ("15 s", 15)],
)
def test_durations(text: str, seconds: float):
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "value", ["15", 15, 1.5, "s", "-1s", "1d", "1e3s", "٣s", "", " 1s", "1s\n", True, None, [], "9" * 400 + "s"]
)
def test_bad_durations(value: Any):
    with pytest.raises(ValueError, match="must be a duration"):
        duration(value)


@pytest.mark.parametrize(
    ("text", "count"),
    [("64 MiB", 64 << 20), ("64MiB", 64 << 20), ("1 KB", 1000), ("1.5 KiB", 1536), ("7 B", 7), ("2 GB", 2 * 10**9)],
)
def test_sizes(text: str, count: int):
    assert size(text) == count


@pytest.mark.parametrize("value", ["64", 64, "64 mib", "64 Mi", "0 B", "0.2 B", "-1 KB", "", None])
def test_bad_sizes(value: Any):
    with pytest.raises(ValueError, match="must be a size"):
        size(value)


def test_hedge_is_a_word_or_a_duration():
    assert [hedge(word) for word in ("off", "p95", "800ms")] == ["off", "p95", "800ms"]
    for bad in ("p99", "0s", 5):
        with pytest.raises(ValueError, match='must be "off", "p95" or a duration'):
            hedge(bad)


@pytest.mark.parametrize(
    ("text", "base", "path"),
    [
        ("https://api.openai.com", Base("https", "api.openai.com", 443), ""),
        ("https://api.openai.com/", Base("https", "api.openai.com", 443), ""),
        ("http://host:8000/v1", Base("http", "host", 8000), "/v1"),
        ("http://host/a/b/", Base("http", "host", 80), "/a/b"),
        ("HTTP://HOST", Base("http", "host", 80), ""),
        ("http://[::1]:8000", Base("http", "::1", 8000), ""),
    ],
)
def test_addresses(text: str, base: Base, path: str):
    assert address(text) == (base, path)


@pytest.mark.parametrize(
    "text",
    [
        "host:8000",
        "ftp://host",
        "https://",
        "http://host:0",
        "http://host:99999",
        "http://host:x",
        "http://[::1",
        "http://a b",
        "https://höst",
        "https://host?key=hunter2",
        "https://host/#x",
        "https://me:hunter2@host",
        "http://host\n",
        "",
        5,
    ],
)
def test_bad_addresses_are_not_repeated(text: Any):
    with pytest.raises(ValueError, match="^must ") as caught:
        address(text)
    assert "hunter2" not in str(caught.value)


def test_a_base_is_shown_as_an_origin():
    assert str(Base("https", "h", 443)) == "https://h"
    assert str(Base("http", "::1", 8000)) == "http://[::1]:8000"


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "my_key", "K", "_X9"])
def test_names_of_variables(name: str):
    assert env_name(name) == name


@pytest.mark.parametrize(
    "key",
    [
        "sk-ant-api03-abc",
        "AIzaSyD3x_aaaaBBBB1234567890abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "gsk_a1B2c3D4e5F6g7H8i9J0",
        "",
        "a b",
        "é",
        3,
    ],
)
def test_a_key_pasted_where_a_name_belongs_is_not_repeated(key: Any):
    with pytest.raises(ValueError, match="not the secret itself") as caught:
        env_name(key)
    assert not key or str(key) not in str(caught.value)


def test_a_key_is_what_a_header_can_carry():
    assert key_text(" sk-1\n") == "sk-1"
    for bad in ("", " \n", "a\r\nx: y", "ké", "a b"):
        with pytest.raises(ValueError, match="is empty|no header can carry"):
            key_text(bad)


def test_a_secret_shows_itself_to_nobody():
    secret = Secret("hunter2")
    assert (f"{secret}", repr(secret), str([secret]), f"{secret!s:>5}") == ("***", "***", "[***]", "  ***")
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError):
        vars(secret)
    assert secret == Secret("hunter2") and secret != Secret("x") and secret != "hunter2"
    assert len({secret, Secret("hunter2")}) == 1
    assert pickle.loads(pickle.dumps(secret)) == secret


def test_a_model_in_a_path_is_one_name():
    gemini = HOSTS["gemini"]
    assert gemini.filled(gemini.path, "models/gemini-2.5") == "/models/gemini-2.5:generateContent"
    assert gemini.filled(gemini.path, "a?b#c d%") == "/models/a%3Fb%23c%20d%25:generateContent"
    assert HOSTS["openai"].filled(HOSTS["openai"].path, "{model}") == "/chat/completions"


# Lines

NASTY = """\
# [not.a.table]
top = 1
"quoted key" = "x # no comment"
'li.teral'.inner = 2
[ server ] # comment
host = \"\"\"
[fake]
port = 1
\\"\"\"still\"\"\"\"\"
port = 9000
list = [ # one
  "a]", 'b,', # [two]
  { x = 1, "y z" = [1,
    2] },
  [3, [4]],
]
raw = '''
x = 2
'''
date = 1979-05-27T07:32:00Z
a.b . "c\\u0064" = {}
[[auth.keys]]
name = "one"
[auth.keys.more]
deep = true
[[ auth.keys ]]
name = "two"
inline = { a.b = 1, c = { d = "}" } }
[backends."gpt-4.1"]
u = "\\"]"
"""


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inner for found in ([(*path, key)], paths(item, (*path, key))) for found in found]


def test_every_key_of_a_nasty_toml_has_its_line():
    lines = toml_lines(NASTY)
    assert set(lines) == set(paths(tomllib.loads(NASTY)))
    text = NASTY.split("\n")
    for path, line in lines.items():
        key = path[-1]
        if isinstance(key, str):
            assert key.replace("cd", "c\\u0064") in text[line - 1], path
    assert lines["server", "port"] == 10
    assert lines["server", "list", 2, "y z", 1] == 14
    assert (lines["auth", "keys", 0], lines["auth", "keys", 1]) == (22, 26)
    assert lines["auth", "keys", 0, "more", "deep"] == 25
    assert lines["backends", "gpt-4.1", "u"] == 30


names = st.text(min_size=1, max_size=6).filter(lambda name: name.isprintable())
texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n"), max_size=12)
values = st.recursive(
    st.integers(-9, 9) | st.booleans() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + "".join(f"{as_toml(item)},# ]\n" for item in value) + "]"
    return msgspec.json.encode(value).decode()


@given(st.dictionaries(names, st.dictionaries(names, values, max_size=3), max_size=3))
def test_the_scanner_finds_what_tomllib_reads(data: dict[str, dict[str, Any]]):
    text = "".join(
        f"[{as_toml(table)}] # x\n" + "".join(f"{as_toml(key)} = {as_toml(value)}\n" for key, value in inner.items())
        for table, inner in data.items()
    )
    assert tomllib.loads(text) == data
    assert set(toml_lines(text)) == set(paths(data))


def test_key_paths_are_spelled_as_toml_spells_them():
    assert written(("backends", "a", "model_mapping", 'gpt-4."1"')) == 'backends.a.model_mapping."gpt-4.\\"1\\""'
    assert written(("auth", "keys", 0, "name")) == "auth.keys[0].name"
