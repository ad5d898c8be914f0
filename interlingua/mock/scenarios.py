"""What the mock answers, as one table: ask for a row by a marker in the last user text, or by the model's name.

    [[parallel]]   [[long:200]]   [[429:2]]            a marker, anywhere in the text of the last turn
    mock-parallel  mock-long-200  gpt-4o-mock-429-2    the end of a model's name
    sk-mock-429                                        the end of a key: rows that refuse alone
    (neither)                                          the default, which does what the request asks for

A marker wins over the name. A marker that is no row is plain text. The argument is a number (or a word) after the colon.
`GET /mock/scenarios` serves the table.

The default: tool results in the last turn are answered with a text that quotes them; a tool that the request forces is called;
a wanted JSON form is filled; any other request gets a text that quotes the user and lists what was seen. Reasoning stands
before it where the request asks for reasoning. A text ends before the first stop sequence that occurs in it. The token limit of
a request is checked, but cuts nothing: `length` does.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from interlingua.mock.sample import sample
from interlingua.mock.talk import Answer, Ask, Finish, Part, Picture, Text, Thought, Tool, Usage, Use, digest, usage_of, words
from interlingua.mock.wire import Fault, Refusal, Reply, an_object, encode

_MARKER: Final = re.compile(r"\[\[([a-z0-9_]+)(?::([A-Za-z0-9_.-]+))?\]\]")
_MODEL: Final = re.compile(r"(?:^|[-/])mock-([a-z0-9_]+)(?:-([a-z0-9_.]+))?$")
_LONGEST: Final = 100_000
PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

Play = Callable[[Ask, str | None], Answer]


class Scenario(Struct, frozen=True):
    says: str
    play: Play
    argument: str | None = None  # the default of its argument; None: it takes none


def choose(ask: Ask) -> tuple[str, str | None]:
    """The row for this request, and its argument."""
    for match in _MARKER.finditer(ask.text):
        if match[1] in SCENARIOS:
            return match[1], match[2]
    named = _MODEL.search(ask.model)
    return (named[1], named[2]) if named and named[1] in SCENARIOS else ("default", None)


def play(ask: Ask) -> Answer:
    """The answer to a request. Raises the Refusal, or the Interruption, that its scenario asks for."""
    name, argument = choose(ask)
    scenario = SCENARIOS[name]
    return scenario.play(ask, argument if argument is not None else scenario.argument)


def known_model(name: str) -> bool:
    """Whether a model's name is one of the mock's own: `mock`, or one that ends with a row of the table."""
    named = _MODEL.search(name)
    return name == "mock" or (named is not None and named[1] in SCENARIOS)


def judge_key(key: str) -> None:
    """A key may end like a model's name: `my-key-mock-429`. Raises the Refusal of that row; other rows change nothing."""
    named = _MODEL.search(key)
    if named and named[1] in _REFUSED_KEYS:
        scenario = SCENARIOS[named[1]]
        scenario.play(Ask(model="", seed=""), named[2] or scenario.argument)


class Interruption(Exception):
    """Not an answer of any vendor: bytes from something that stands between."""

    def __init__(self, reply: Reply) -> None:
        super().__init__("an answer that no vendor gives")
        self.reply = reply


# What can be said


def default_text(ask: Ask) -> str:
    quoted = _MARKER.sub("", ask.text).strip()
    text = f"You said: {quoted}" if quoted else "You said nothing."
    if ask.media:
        text += f" I saw {len(ask.media)} attachment{'s' if len(ask.media) > 1 else ''}: {'; '.join(ask.media)}."
    count = len(ask.tools) + ask.hosted
    return text + (f" I have {count} tool{'s' if count > 1 else ''}." if count else "")


def results_text(ask: Ask) -> str:
    return "The tools gave: " + "; ".join(f"{result.name}: {result.text}" for result in ask.results)


def thought(ask: Ask, number: int = 1) -> Thought:
    return Thought(words(f"Step {number}: the user wants an answer to {len(ask.text)} characters of text."))


def call(ask: Ask, tool: Tool, index: int = 0) -> Use:
    free = tool.schema is None
    arguments = f"mock input for {tool.name}" if tool.schema is None else encode(an_object(sample(tool.schema))).decode()
    return Use(digest("call", ask.seed, index)[:24], tool.name, arguments, free)


def forced_tool(ask: Ask) -> Tool | None:
    """The tool that must be called: the one named, or the first."""
    if ask.force in (None, "any"):
        return ask.tools[0] if ask.tools else None
    return next((tool for tool in ask.tools if tool.name == ask.force), None)


def stopped(ask: Ask, text: str) -> tuple[str, str | None]:
    """The text up to the first stop sequence in it, and which that was."""
    found = [(text.find(stop), stop) for stop in ask.stops if stop in text]
    if not found:
        return text, None
    where, stop = min(found)
    return text[:where], stop


def answer(
    ask: Ask, parts: list[Part], finish: Finish = "stop", *, flags: frozenset[str] = frozenset(), fault: Fault | None = None
) -> Answer:
    if finish == "stop" and any(isinstance(part, Use) for part in parts):
        finish = "tool"
    return Answer(parts=parts, finish=finish, usage=usage_of(ask, parts), flags=flags, fault=fault or Fault())


def text_answer(ask: Ask, text: str, before: list[Part] | None = None) -> Answer:
    said, stop = stopped(ask, text)
    out = answer(ask, [*(before or []), Text(words(said))], "sequence" if stop else "stop")
    out.sequence = stop
    return out


def default(ask: Ask, _: str | None = None) -> Answer:
    before: list[Part] = [thought(ask)] if ask.think else []
    if ask.force and (tool := forced_tool(ask)):
        return answer(ask, [*before, call(ask, tool)])
    if ask.schema is not None or ask.json_mode:
        return text_answer(ask, json_text(ask), before)
    return text_answer(ask, results_text(ask) if ask.results else default_text(ask), before)


def json_text(ask: Ask) -> str:
    value = {"answer": default_text(ask)} if ask.schema is None else sample(ask.schema, optional=True)
    return encode(value).decode()


# The rows


def one_tool(ask: Ask, _: str | None = None) -> Answer:
    tool = forced_tool(ask)
    return answer(ask, [call(ask, tool)]) if tool else default(ask)


def tool_then_text(ask: Ask, _: str | None = None) -> Answer:
    return default(ask) if ask.results else one_tool(ask)


def two_tools(ask: Ask, _: str | None = None) -> Answer:
    if not ask.tools:
        return default(ask)
    if not ask.parallel:
        return one_tool(ask)
    pair = [ask.tools[0], ask.tools[min(1, len(ask.tools) - 1)]]
    return answer(ask, [call(ask, tool, index) for index, tool in enumerate(pair)])


def flagged(play_it: Play, *flags: str) -> Play:
    """The same answer, written in a way only some vendors have."""

    def flag(ask: Ask, argument: str | None) -> Answer:
        out = play_it(ask, argument)
        out.flags = out.flags | frozenset(flags)
        return out

    return flag


def thinking(ask: Ask, _: str | None) -> Answer:
    """Reasoning, text, reasoning, text."""
    first, second = Text(words("So far so good. ")), Text(words(default_text(ask)))
    return answer(ask, [thought(ask, 1), first, thought(ask, 2), second])


def redacted(ask: Ask, _: str | None) -> Answer:
    hidden = Thought(("This was hidden.",), hidden=True)
    return answer(ask, [thought(ask), hidden, Text(words(default_text(ask)))])


def think_tool(ask: Ask, _: str | None) -> Answer:
    tool = forced_tool(ask)
    return answer(ask, [thought(ask), call(ask, tool)]) if tool else thinking(ask, None)


def text_tool(ask: Ask, _: str | None) -> Answer:
    tool = forced_tool(ask)
    return answer(ask, [Text(words("Let me look.")), call(ask, tool)]) if tool else default(ask)


def structured(ask: Ask, _: str | None) -> Answer:
    return text_answer(ask, json_text(ask))


def long(ask: Ask, argument: str | None) -> Answer:
    count = number(argument, most=_LONGEST)
    return answer(ask, [Text(tuple(f"word{index} " for index in range(count)))])


def slowly(first: bool) -> Play:
    def pace(ask: Ask, argument: str | None) -> Answer:
        seconds = number(argument, most=600_000) / 1000
        out = default(ask)
        out.fault = Fault(first=seconds) if first else Fault(gap=seconds)
        return out

    return pace


def refuse(kind: str, message: str, *, reset: bool = False) -> Play:
    def refusing(ask: Ask, argument: str | None) -> Answer:
        wait = number(argument, most=86_400) if argument is not None else None
        raise Refusal(kind, message, retry_after=wait, reset=reset)

    return refusing


def broken(field: str) -> Play:
    """A default answer whose delivery breaks after so many chunks."""

    def breaking(ask: Ask, argument: str | None) -> Answer:
        out = default(ask)
        out.fault = msgspec.structs.replace(out.fault, **{field: number(argument, most=_LONGEST)})
        return out

    return breaking


def resetting(ask: Ask, _: str | None) -> Answer:
    out = default(ask)
    out.fault = Fault(reset=True)
    return out


def ended(finish: Finish, text: str) -> Play:
    return lambda ask, _: answer(ask, [Text(words(text))] if text else [], finish)


def at_stop(ask: Ask, _: str | None) -> Answer:
    out = answer(ask, [Text(words("Counting: one, two, "))], "sequence" if ask.stops else "stop")
    out.sequence = ask.stops[0] if ask.stops else None
    return out


def garbage(ask: Ask, _: str | None) -> Answer:
    if ask.stream:
        raise Interruption(Reply(b'data: {"oops": \xff\xfe\n\ndata: }{\n\n', content_type="text/event-stream; charset=utf-8"))
    raise Interruption(Reply(b"\xff\xfe this is <no JSON}"))


def html(ask: Ask, _: str | None) -> Answer:
    body = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\r\n"
    raise Interruption(Reply(body, status=502, content_type="text/html"))


def metered(ask: Ask, argument: str | None) -> Answer:
    """Usage with its breakdown: `cached`, `written`, `audio`, `reasoning`, or all of them."""
    out = default(ask)
    prompt = max(ask.prompt_tokens, 100)
    shares = {"cached": prompt * 4 // 10, "written": prompt * 2 // 10, "audio": prompt // 10, "thinking": 16}
    wanted = "thinking" if argument == "reasoning" else argument
    chosen = {name: amount for name, amount in shares.items() if wanted in ("all", name)}
    thinking_tokens = chosen.pop("thinking", 0)
    out.usage = Usage(prompt=prompt, output=out.usage.output + thinking_tokens, thinking=thinking_tokens, **chosen)
    return out


def cited(ask: Ask, _: str | None) -> Answer:
    return answer(ask, [Text(words("The sky is blue."), cited=True), Text(words(" That much is known."))])


def unicode_text(ask: Ask, _: str | None) -> Answer:
    text = (
        "Line\u2028separator, paragraph\u2029mark, next\u0085line, emoji \U0001f469\u200d\U0001f52c\U0001f1f3\U0001f1fa, "
        "combining e\u0301, \u4f60\u597d, end."
    )
    return answer(ask, [Text(words(text))], fault=Fault(shred=3))


def painted(ask: Ask, _: str | None) -> Answer:
    return answer(ask, [Text(words("Here it is:")), Picture("image/png", PIXEL)])


def number(argument: str | None, most: int) -> int:
    """A scenario's argument as a count, from 0 to `most`; anything else is 0."""
    digits = argument if argument is not None and argument.isdecimal() else "0"
    return min(int(digits[:9]), most)


_REFUSED_KEYS: Final = frozenset(("401", "402", "403", "429", "429_reset", "500", "503", "overloaded", "quota"))
CONTEXT: Final = 1_000_001  # tokens, one more than the windows the mock tells of

SCENARIOS: Final[dict[str, Scenario]] = {
    "default": Scenario("does what the request asks for", default),
    "text": Scenario("a text, whatever else is asked for", lambda ask, _: text_answer(ask, default_text(ask))),
    "vision": Scenario("a text naming every attachment received", lambda ask, _: text_answer(ask, default_text(ask))),
    "tool": Scenario("calls the first tool, or the one that is forced; arguments are made from its schema", one_tool),
    "tool_once": Scenario("tool, but where a tool's result is given: the default", tool_then_text),
    "parallel": Scenario("calls the first two tools, or the only one twice", two_tools),
    "interleaved": Scenario("parallel; the argument pieces of both take turns (OpenAI)", flagged(two_tools, "interleaved")),
    "whole_args": Scenario("parallel; the arguments come in one piece", flagged(two_tools, "whole_args")),
    "empty_tool_calls": Scenario("text; every piece has an empty tool_calls list (OpenAI)", flagged(default, "empty_tool_calls")),
    "text_tool": Scenario("a text, then a tool call", text_tool),
    "thinking": Scenario("reasoning, text, reasoning, text; signed", thinking),
    "reasoning": Scenario("thinking; told in reasoning_content, as OpenAI-compatible hosts do", flagged(thinking, "reasoning")),
    "redacted": Scenario("reasoning, hidden reasoning, text", redacted),
    "think_tool": Scenario("reasoning, then a tool call", think_tool),
    "json": Scenario("an instance of the JSON Schema that is asked for", structured),
    "long": Scenario("a text of so many pieces", long, "60"),
    "slow": Scenario("waits so many milliseconds before the first byte", slowly(first=True), "300"),
    "gap": Scenario("waits so many milliseconds before each piece", slowly(first=False), "50"),
    "400": Scenario("refused: the request is not valid", refuse("invalid", "The mock was asked to find this request invalid.")),
    "401": Scenario("refused: wrong key", refuse("authentication", "The mock was asked to find this key wrong.")),
    "402": Scenario("refused: no credit", refuse("billing", "The mock was asked to find no credit left.")),
    "403": Scenario("refused: not allowed", refuse("permission", "The mock was asked to forbid this.")),
    "404": Scenario("refused: no such model", refuse("model", "The mock was asked not to know this model.")),
    "413": Scenario("refused: too large", refuse("too_large", "The mock was asked to find this request too large.")),
    "429": Scenario("refused: too many requests; says to wait so many seconds", refuse("rate_limit", "Rate limit reached."), "1"),
    "429_reset": Scenario(
        "refused: too many requests; says so in the vendor's own rate-limit headers",
        refuse("rate_limit", "Rate limit reached.", reset=True),
        "1",
    ),
    "500": Scenario("fails", refuse("server", "The mock was asked to fail.")),
    "503": Scenario("fails: unavailable", refuse("unavailable", "The mock was asked to be unavailable.")),
    "529": Scenario("fails: overloaded", refuse("overloaded", "Overloaded")),
    "overloaded": Scenario("fails: overloaded", refuse("overloaded", "Overloaded")),
    "quota": Scenario("refused: the quota is used up", refuse("quota", "The quota of this key is used up.")),
    "context": Scenario(
        "refused: longer than the model's context window",
        refuse("context", f"prompt is too long: {CONTEXT} tokens > 1000000 maximum"),
    ),
    "blocked": Scenario("refused, or blocked: the prompt breaks a content rule", refuse("blocked", "The prompt was blocked.")),
    "filter": Scenario("ends: stopped by a content filter", ended("filter", "I was about to ")),
    "refusal": Scenario("the model refuses", ended("refusal", "I cannot help with that.")),
    "length": Scenario("ends: the token limit was reached", ended("length", "This answer is longer than")),
    "stop": Scenario("ends at the first stop sequence given", at_stop),
    "empty": Scenario("an answer with nothing in it", ended("stop", "")),
    "nofinish": Scenario("ends without a finish reason or end mark", ended("missing", "And then")),
    "garbage": Scenario("200, and bytes that are neither JSON nor frames", garbage),
    "html": Scenario("502 with an HTML page", html),
    "cut": Scenario("closes the connection after so many pieces; a whole answer is cut in the middle", broken("cut"), "2"),
    "reset": Scenario("resets the connection before the first byte", resetting),
    "error_event": Scenario("tells of an error after so many pieces of a stream", broken("error"), "2"),
    "usage": Scenario("usage with details: cached, written, audio, reasoning or all", metered, "all"),
    "logprobs": Scenario("with log probabilities, asked for or not", flagged(default, "logprobs")),
    "citations": Scenario("a text with a citation", cited),
    "unicode": Scenario("U+2028, emoji, combining marks; written three bytes at a time", unicode_text),
    "images_out": Scenario("a text and an image (Gemini)", painted),
}
