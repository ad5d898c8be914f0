"""Citations from protocol to protocol: which words they are about, whole and streamed alike."""

from typing import Any

import msgspec
import pytest

from interlingua.fold import unfold
from interlingua.ir import AnyEvent, ChoiceEnd, Citation, End, Json, PartDelta, PartEnd, PartStart, Request, Start, Text
from interlingua.losses import Losses
from interlingua.protocols import anthropic, bedrock, openai, responses

WEB: Json = {
    "type": "web_search_result_location",
    "url": "https://sea.test/",
    "title": "The sea",
    "cited_text": "salt",
    "encrypted_index": "e",
}
CLAUDES: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "text", "text": "As is known, "},
        {"type": "text", "text": "the sea is saltš.", "citations": [WEB]},
        {"type": "text", "text": " Rivers less.", "citations": [WEB]},
    ],
    "stop_reason": "end_turn",
}
CONVERSES: Json = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"text": "As is known, "},
                *(
                    {
                        "citationsContent": {
                            "content": [{"text": words}],
                            "citations": [{"title": "The sea", "location": {"web": {"url": "https://sea.test/"}}}],
                        }
                    }
                    for words in ("the sea is saltš.", " Rivers less.")
                ),
            ],
        }
    },
    "stopReason": "end_turn",
}
SPANS = ["the sea is saltš.", " Rivers less."]


def chunks(events: list[AnyEvent]) -> list[Json]:
    outs = openai.Formatter(Request(model="m", messages=[]), Losses()).feed(events)
    return [msgspec.json.decode(out.data) if isinstance(out.data, bytes) else out.data for out in outs if out.data != b"[DONE]"]


@pytest.mark.parametrize("answer", [CLAUDES, CONVERSES])
def test_a_block_that_is_cited_whole_is_told_by_its_place_in_the_message(answer: Json):
    """Anthropic and Bedrock cite blocks, OpenAI spans of the whole message."""
    source = anthropic if answer is CLAUDES else bedrock
    response = source.parse_response(msgspec.json.decode(msgspec.json.encode(answer)))
    asked = Request(model="m", messages=[])
    message = openai.format_response(response, asked, Losses())["choices"][0]["message"]
    content, annotations = "", list[Any]()
    for chunk in chunks(list(unfold(response))):
        for choice in chunk["choices"]:
            content += choice["delta"].get("content") or ""
            annotations += choice["delta"].get("annotations", ())
    assert content == message["content"]
    assert [annotation.pop("index") for annotation in annotations] == [0, 1]
    assert annotations == message["annotations"]
    spans = [annotation["url_citation"] for annotation in annotations]
    assert [content[span["start_index"] : span["end_index"]] for span in spans] == SPANS


@pytest.mark.parametrize("ended", [True, False])
def test_a_citation_may_come_before_the_words_it_is_about(ended: bool):
    cited = Citation(url="https://sea.test/", title="The sea")
    events: list[AnyEvent] = [
        Start(id="a", model="m"),
        PartStart(index=0, part=Text()),
        PartDelta(index=0, text="Hm. "),
        PartEnd(index=0),
        PartStart(index=1, part=Text()),
        PartDelta(index=1, citation=cited),
        PartDelta(index=1, text="The "),
        PartDelta(index=1, text="sea.", citation=cited),
        *([PartEnd(index=1)] if ended else []),
        ChoiceEnd(),
        End(),
    ]
    found = [a for c in chunks(events) for choice in c["choices"] for a in choice["delta"].get("annotations", ())]
    assert [(a["url_citation"]["start_index"], a["url_citation"]["end_index"]) for a in found] == [(4, 12), (4, 12)]
    outs = responses.Formatter(Request(model="m", messages=[]), Losses()).feed(events)
    told = [msgspec.json.decode(out.data) if isinstance(out.data, bytes) else out.data for out in outs]
    said = [event["annotation"] for event in told if event["type"] == "response.output_text.annotation.added"]
    assert [(a["start_index"], a["end_index"]) for a in said] == [(0, 8), (0, 8)]
    assert told[-1]["response"]["output"][0]["content"][1]["annotations"] == said


CHUNK = {"documentChunk": {"documentIndex": 1, "start": 0, "end": 2}}
PLACED = {"type": "char_location", "cited_text": "q", "document_index": 0, "start_char_index": 0, "end_char_index": 1}
NO_ONE = Request(model="m", messages=[])


def answered(*citations: Json) -> Json:
    """Converse's answer that cites so."""
    content = [{"citationsContent": {"content": [{"text": "So."}], "citations": list(citations)}}]
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn", "usage": usage}


def told(protocol: Any, answer: Json) -> tuple[Json, list[str]]:
    """What a client of `protocol` is told of Converse's answer, and what it is not."""
    losses = Losses()
    response = bedrock.parse_response(msgspec.json.decode(msgspec.json.encode(answer)))
    return protocol.format_response(response, NO_ONE, losses), [loss.path for loss in losses]


def test_words_cited_in_several_pieces_are_one_quote():
    """And come in their pieces to a client of Bedrock's own."""
    answer = answered({"sourceContent": [{"text": "It falls. "}, {"text": "It dissolves."}], "location": CHUNK})
    message, losses = told(anthropic, answer)
    assert message["content"][0]["citations"] == [
        {
            "type": "content_block_location",
            "cited_text": "It falls. It dissolves.",
            "document_index": 1,
            "document_title": None,
            "start_block_index": 0,
            "end_block_index": 2,
        }
    ]
    assert losses == []
    assert told(bedrock, answer)[0]["output"] == answer["output"]


@pytest.mark.parametrize(
    "location",
    [
        {"documentChar": {"documentIndex": 1, "start": 0}},
        {"documentChar": {"start": 0, "end": 1}},
        {"documentChar": {"documentIndex": -1, "start": 0, "end": 1}},
        {"documentChar": {"documentIndex": 0, "start": 0, "end": 1, "line": 4}},
        {"documentLine": {"documentIndex": 0, "start": 0, "end": 1}},
        {**CHUNK, "documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
        {},
    ],
)
def test_a_location_that_is_not_whole_stays_bedrocks_own(location: Json):
    """All of its numbers may be missing there; Anthropic's must be told."""
    answer = answered({"sourceContent": [{"text": "q"}], "location": location})
    assert told(bedrock, answer)[0]["output"] == answer["output"]
    message, losses = told(anthropic, answer)
    assert message["content"] == [{"type": "text", "text": "So."}]
    assert losses == ["response.choices[0].parts[0].citations[0]"]


def test_a_source_without_a_search_result_is_bedrocks_own():
    answer = answered({"source": "s", "sourceContent": [{"text": "q"}], "location": CHUNK})
    assert told(bedrock, answer)[0]["output"] == answer["output"]
    message, losses = told(anthropic, answer)
    assert "source" not in message["content"][0]["citations"][0]
    assert losses == ["response.choices[0].parts[0].citations[0].source"]


def claudes(citation: Json) -> tuple[list[Json], list[str]]:
    """Claude's citation as its own client is told it again, and what a client of Bedrock's is not told of it."""
    content = [{"type": "text", "text": "So.", "citations": [dict(citation)]}]
    response, losses = anthropic.parse_response({"content": content, "stop_reason": "end_turn"}), Losses()
    bedrock.format_response(response, NO_ONE, losses)
    again = anthropic.format_response(response, NO_ONE, Losses())["content"][0]["citations"]
    return again, [loss.path.rpartition(".")[2] for loss in losses]


@pytest.mark.parametrize("missing", ["document_index", "start_char_index", "end_char_index"])
def test_a_citation_of_claudes_that_is_not_whole_stays_its_own(missing: str):
    cited = {key: value for key, value in PLACED.items() if key != missing}
    again, losses = claudes(cited)
    assert again == [cited] and set(losses) == set(cited)


def test_a_file_that_is_cited_is_told_to_claudes_own_client_alone():
    """An id in Anthropic's store says nothing to another."""
    cited = {**PLACED, "document_title": "T", "file_id": "file_1"}
    assert claudes(cited) == ([cited], ["file_id"])
