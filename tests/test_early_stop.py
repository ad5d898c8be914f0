"""An answer ends at a tag: wherever it was cut, in text alone, for each choice, at every provider; and it saves what it says."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import five
import httpx2
import pytest
from conftest import Start
from five import FIVE, MODELS, Said, speaking
from prometheus_client.parser import text_string_to_metric_families
from running import House
from server_wire import ask, plain

from interlingua.errors import InvalidRequest
from interlingua.fold import fold, unfold
from interlingua.ir import (
    AnyEvent,
    Choice,
    ChoiceEnd,
    Citation,
    End,
    Failure,
    Finish,
    Message,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    Response,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    Usage,
    UsageSoFar,
)
from interlingua.ir import (
    Start as Begin,
)
from interlingua.metrics import Metrics
from interlingua.pipeline import Call
from interlingua.policies.early_stop import Tags, _Watch, of_header
from interlingua.routing import Decision


def watch(*tags: str, n: int = 1) -> _Watch:
    call = Call(Request(model="m", messages=[Message(role="user")], n=n, stream=True), "openai", "id", {}, 0.0)
    call.decision = Decision("b", "m", "explicit", "")
    return _Watch(Tags(tags), call, Metrics())


def delta(text: str, choice: int = 0, index: int = 0, **more: Any) -> PartDelta:
    return PartDelta(choice=choice, index=index, text=text, **more)


def told(events: list[AnyEvent], choice: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, PartDelta) and event.choice == choice)


def opened(found: _Watch, *parts: Any, choice: int = 0) -> None:
    found.feed([Begin()])
    found.feed([PartStart(choice=choice, index=index, part=part) for index, part in enumerate(parts or (Text(),))])


# Where a tag is


def plainly(text: str, tags: tuple[str, ...]) -> str:
    """The same by looking at every character: the tag that is complete first, of two that end together the longer."""
    for end in range(len(text) + 1):
        ending = [tag for tag in tags if text[:end].endswith(tag)]
        if ending:
            return text[: end - max(map(len, ending))]
    return text


def test_a_tag_ends_the_answer_however_it_is_cut() -> None:
    """Also of tags that overlap, begin alike or lie in one another; what is held back is what must be, and no more."""
    rng = random.Random(4)
    for _ in range(4000):
        tags = tuple({"".join(rng.choices("ab<", k=rng.randint(1, 4))) for _ in range(rng.randint(1, 4))})
        text = "".join(rng.choices("ab<c", weights=(4, 4, 4, 1), k=rng.randint(0, 14)))
        found, out, sent = watch(*tags), list[AnyEvent](), ""
        opened(found)
        while sent != text and not any(isinstance(event, End) for event in out):
            piece = text[len(sent) : len(sent) + rng.randint(1, 4)]
            sent += piece
            out += found.feed([delta(piece)])
            if plainly(sent, tags) == sent:
                waiting = max(
                    (n for n in range(len(sent) + 1) if any(tag[:n] == sent[len(sent) - n :] for tag in tags)), default=0
                )
                assert told(out) == sent[: len(sent) - waiting]
        if not any(isinstance(event, End) for event in out):
            out += found.feed([PartEnd(index=0), ChoiceEnd(finish=Finish(reason="stop")), End()])
        assert told(out) == plainly(text, tags), (tags, text)


def test_batches_are_no_matter() -> None:
    """The same events tell the same, one by one or several at once; what no tag concerns is noted all the same."""
    rng = random.Random(5)
    for _ in range(2000):
        tags = tuple("".join(rng.choices("ab<", k=rng.randint(1, 3))) for _ in range(2))
        places = [(choice, index) for choice in range(2) for index in range(2)]
        events: list[AnyEvent] = [Begin(usage=Usage(input=3))]
        events += [
            PartStart(
                choice=choice,
                index=index,
                part=rng.choice((Text, Thinking))(text="".join(rng.choices("c<a", k=rng.randint(0, 2)))),
            )
            for choice, index in places
        ]
        events += [delta("".join(rng.choices("abc<", k=3)), *rng.choice(places)) for _ in range(rng.randint(0, 8))]
        events += [PartEnd(choice=choice, index=index) for choice, index in places]
        events += [ChoiceEnd(choice=choice, finish=Finish(reason="length")) for choice in range(2)]
        cuts = sorted({0, *rng.choices(range(len(events)), k=rng.randint(0, 5)), len(events)})
        results: list[tuple[str, str, list[AnyEvent]]] = []
        for batches in ([[event] for event in events], [events[a:b] for a, b in pairwise(cuts)]):
            found, out = watch(*tags, n=2), list[AnyEvent]()
            for batch in batches:
                if not any(isinstance(event, End) for event in out):
                    out += found.feed(batch)
            results.append((told(out), told(out, 1), [event for event in out if isinstance(event, ChoiceEnd)]))
        assert results[0] == results[1], (tags, events, cuts)


def test_what_no_tag_concerns_is_counted() -> None:
    found = watch("</a>")
    first: list[AnyEvent] = [Begin(usage=Usage(input=3)), PartStart(index=0, part=Text()), delta("12345678"), delta("abcd")]
    assert found.feed(first) is first
    assert found.feed([delta("efgh</a>")])[-1] == End(usage=Usage(input=3, output=5, estimated=True))


def test_text_that_is_part_of_no_tag_is_never_held_back() -> None:
    found = watch("</answer>")
    opened(found)
    same = delta("a < b </b>")
    assert found.feed([same]) == [same]
    assert found.feed([delta("<")]) == [] and found.feed([delta("b")]) == [delta("<b")]


def test_what_is_held_comes_with_the_parts_end() -> None:
    found = watch("</answer>")
    opened(found)
    assert found.feed([delta("see </ans")]) == [delta("see ")]
    ends = [PartEnd(index=0), ChoiceEnd(finish=Finish(reason="length")), End()]
    assert found.feed(ends) == [delta("</ans"), *ends]
    broken = watch("</answer>")
    opened(broken)
    failure = Failure(status=502, kind="bad_gateway", message="gone")
    assert broken.feed([delta("see </ans")]) + broken.feed([failure]) == [delta("see "), delta("</ans"), failure]


def test_only_text_is_looked_at() -> None:
    found = watch("stop")
    call = ToolCall(id="1", name="f")
    opened(found, Thinking(), call, Text())
    batch: list[AnyEvent] = [delta("stop", index=0), delta('{"a":"stop"}', index=1)]
    assert found.feed(batch) == batch
    assert found.feed([delta("now stop", index=2)]) == [
        delta("now ", index=2),
        *(PartEnd(index=index) for index in range(3)),
        ChoiceEnd(finish=Finish(reason="stop", stop="stop")),
        End(usage=Usage(output=7, estimated=True)),
    ]


def test_a_whole_text_in_one_event() -> None:
    """As a provider tells it that was asked for a stream and does not know how; its own usage is the one told."""
    whole = Response(choices=[Choice(parts=[Text(text="1</a>2")], finish=Finish(reason="stop"))], usage=Usage(input=5, output=9))
    ended = fold(watch("</a>").feed(unfold(whole)))
    assert ended.choices[0] == Choice(parts=[Text(text="1")], finish=Finish(reason="stop", stop="</a>"))
    assert ended.usage == Usage(input=5, output=9)
    begun = watch("</a>").feed([Begin(), PartStart(index=0, part=Text(text="1</a>2"))])
    assert begun[1:3] == [PartStart(index=0, part=Text()), delta("1")] and isinstance(begun[-1], End)


def test_each_choice_ends_on_its_own() -> None:
    found = watch("X", n=2)
    opened(found)
    found.feed([PartStart(choice=1, index=0, part=Text())])
    first = found.feed([delta("aX"), delta("b", choice=1)])
    assert told(first) == "a" and told(first, 1) == "b" and not isinstance(first[-1], End)
    assert found.feed([delta("more"), PartEnd(index=0), ChoiceEnd(), delta("c", choice=1)]) == [delta("c", choice=1)]
    last = found.feed([delta("dX", choice=1)])
    assert told(last, 1) == "d" and isinstance(last[-1], End)


def test_a_choice_that_ends_by_itself_lets_the_provider_say_its_usage() -> None:
    found = watch("X", n=2)
    opened(found)
    found.feed([PartStart(choice=1, index=0, part=Text()), delta("X")])
    ends: list[AnyEvent] = [PartEnd(choice=1, index=0), ChoiceEnd(choice=1, finish=Finish(reason="stop"))]
    assert found.feed(ends) == ends
    assert found.feed([End(usage=Usage(output=7))]) == [End(usage=Usage(output=7))]


def test_what_a_delta_bears_stays_with_its_text() -> None:
    found = watch("<end>")
    opened(found)
    tokens = [TokenLogprob("a", -1.0), TokenLogprob(" <", -2.0), TokenLogprob("en", -3.0), TokenLogprob("d>", -4.0)]
    cited = Citation(url="https://example.com")
    first = found.feed([delta("a <", logprobs=tokens[:2], citation=cited)])
    assert first == [delta("a ", logprobs=tokens[:1], citation=cited)]
    assert found.feed([delta("en", logprobs=tokens[2:3])]) == []
    assert told(found.feed([delta("d>", logprobs=tokens[3:])])) == ""


def test_usage_is_what_was_reported_or_an_estimate_that_says_so() -> None:
    found = watch("X")
    found.feed([Begin(usage=Usage(input=10, output=1))])
    found.feed([PartStart(index=0, part=Text()), delta("12345678")])
    assert found.feed([delta("X")])[-1] == End(usage=Usage(input=10, output=3, estimated=True))
    exact = watch("X")
    opened(exact)
    batch = exact.feed([delta("12345678X"), UsageSoFar(usage=Usage(input=10, output=4))])
    assert batch[-1] == End(usage=Usage(input=10, output=4))


# The header


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        (b"</answer>", ("</answer>",)),
        (b" </a> , %3Cb%2C%20c%3E,100%25", ("</a>", "<b, c>", "100%")),
        (b"%E2%80%A8", ("\u2028",)),
        (rb'["</a>", "a,b", "\u2028", "\n"]', ("</a>", "a,b", "\u2028", "\n")),
        ('["ü"]'.encode(), ("ü",)),
    ],
)
def test_a_header_is_read(header: bytes, tags: tuple[str, ...]) -> None:
    assert of_header(header) == tags


BAD = [b"", b"a,,b", b"%", b"%zz", b"%ff", b"[", b'["a", 1]', b"[]", b'[""]', b"x" * 257, b",".join([b"a"] * 17), b'["\xff"]']


@pytest.mark.parametrize("header", BAD)
def test_a_header_that_cannot_be_read_is_refused(header: bytes) -> None:
    with pytest.raises(InvalidRequest, match="x-interlingua-early-stop") as caught:
        of_header(header)
    assert caught.value.failure.param == "x-interlingua-early-stop"


# Through the gateway


@pytest.fixture
async def house(start: Start, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    five.speaks_aws(monkeypatch)
    yield await start(backends=FIVE)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


def finish_of(client: str, answer: Said, stream: bool) -> tuple[str, str | None]:
    """The word for the end, and the tag where the protocol has a place for it."""
    raw: Any = answer.raw
    match client:
        case "openai":
            return (next(r for r in raw if r.choices and r.choices[0].finish_reason) if stream else raw).choices[
                0
            ].finish_reason, None
        case "responses":
            return (raw[-1].response if stream else raw).status, None
        case "anthropic":
            return raw.stop_reason, raw.stop_sequence
        case "gemini":
            return raw[-1].candidates[0].finish_reason.value, None
        case _:
            return next(row["messageStop"] for row in raw if "messageStop" in row)["stopReason"] if stream else raw[
                "stopReason"
            ], None


ENDS = {
    "openai": ("stop", None),
    "responses": ("completed", None),
    "anthropic": ("stop_sequence", "</answer>"),
    "gemini": ("STOP", None),
    "bedrock": ("stop_sequence", None),
}
WORDS = "[[gap:4]] it is 42 </answer> " + " ".join(f"w{n}" for n in range(400))


@pytest.mark.parametrize("backend", MODELS)
@pytest.mark.parametrize("client", MODELS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_every_client_and_provider_saves_what_is_not_sent(house: House, client: str, backend: str, stream: bool) -> None:
    async with speaking(client, house.url) as say:
        answer = await say(MODELS[backend], WORDS, stream, {"x-interlingua-early-stop": "</answer>"})
    assert answer.text == "You said: it is 42 "
    assert finish_of(client, answer, stream) == ENDS[client]
    entry = house.mock.journal.last
    await until(lambda: entry.aborted)
    assert entry.stream and 5 <= entry.chunks < 40  # of more than 400
    if not stream and backend != "gemini":
        assert answer.heads["x-interlingua-estimated"] == "usage"
    house.judge()


async def test_usage_is_marked_where_it_is_an_estimate_and_counted_apart(house: House) -> None:
    heads = {"x-interlingua-early-stop": "</answer>"}
    reply = await ask(house, "openai", plain("openai", WORDS, stream=True, stream_options={"include_usage": True}), heads=heads)
    assert b": x-interlingua-estimated: usage\n" in reply.body
    async with httpx2.AsyncClient(base_url=house.url) as http:
        text = (await http.get("/metrics")).text
    found = {
        (s.name, s.labels.get("kind")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if s.labels.get("backend") == "openai"
    }
    written = -(-len("You said: it is 42 </answer> ") // 4)
    assert written <= found["interlingua_tokens_total", "output_estimated"] < written + 20
    assert found["interlingua_tokens_total", "output"] == 0 and found["interlingua_early_stops_total", None] == 1


async def test_tags_come_from_the_configuration(start: Start) -> None:
    more = '[routing]\nearly_stop = ["A!"]\n[routing.early_stop_models]\n"exact-openai" = ["B!"]\n"from-openai-*" = ["C!"]\n'
    house = await start(more, backends=five.BACKENDS.replace('"OPENAI_KEY"', '"OPENAI_KEY"\nearly_stop = ["D!"]'))

    async def told_of(model: str, words: str) -> str:
        return (await ask(house, "openai", plain("openai", words, model=model))).json["choices"][0]["message"]["content"]

    for model, ends in {"exact-openai": "ABD", "from-openai-default": "ACD", "openai/gpt-4o": "AD", "exact-gemini": "A"}.items():
        for letter in "ABCD":
            expected = "You said: x " if letter in ends else f"You said: x {letter}! y"
            assert await told_of(model, f"x {letter}! y") == expected, (model, letter)


async def test_a_bad_header_is_the_clients_mistake(house: House) -> None:
    for client in MODELS:
        async with speaking(client, house.url) as say:
            for stream in (False, True):
                with pytest.raises(five.RAISED, match="x-interlingua-early-stop cannot be read"):
                    await say(MODELS["openai"], "hi", stream, {"x-interlingua-early-stop": "a,,b"})
    assert not house.mock.journal.entries
