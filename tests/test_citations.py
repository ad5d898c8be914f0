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
