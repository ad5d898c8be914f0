"""`interlingua translate`: one protocol in, another out, offline. What could not be said is told on stderr.

A request is read as a client's and written for a backend; an answer and a stream are read as a backend's and written for
a client.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Final, cast

import msgspec

from interlingua.commands import Commands, describe, open_bytes, protocol, read_json, told_losses
from interlingua.errors import FramingError, InvalidRequest, UpstreamError, UpstreamGarbage
from interlingua.framing import sse
from interlingua.ir import AnyEvent, Failure, Json, Request
from interlingua.losses import Losses
from interlingua.protocols import Protocol, target

_PIECE: Final = 65536
_NAMES: Final = "openai, responses, anthropic, gemini or bedrock; or a provider of one: azure, vertex, mistral, ..."
# The client a stream is written for: one that wants all there is, usage too
_CLIENT: Final = Request(model="", messages=[], stream=True, extras={"openai": {"~stream_options": {"include_usage": True}}})


def add(commands: Commands) -> None:
    examples = (
        "interlingua translate --from openai --to anthropic request.json",
        "interlingua translate --from anthropic --to openai --response answer.json",
        "curl -N ... | interlingua translate --from gemini --to openai --stream",
    )
    text = "Translates a request, an answer or a stream, offline; what is lost is told on stderr."
    command = commands.add_parser("translate", **describe(text, examples))
    command.add_argument("--from", dest="source", required=True, metavar="PROTOCOL", help=_NAMES)
    command.add_argument("--to", dest="goal", required=True, metavar="PROTOCOL", help=_NAMES)
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--response", action="store_true", help="FILE is a provider's answer")
    kind.add_argument("--stream", action="store_true", help="FILE is a provider's answer as server-sent events")
    command.add_argument(
        "--strict", action="store_true", help="any loss is an error: exit 1, and no request or answer is written"
    )
    command.add_argument(
        "--model", metavar="NAME", help="the model a request is for, whatever its body says (gemini's says nothing)"
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="default: stdin")
    command.set_defaults(run=run, stays=False)


def run(arguments: argparse.Namespace) -> int:
    source, goal = protocol(arguments.source), protocol(arguments.goal)
    losses = Losses()
    if arguments.stream:
        failure = _stream(source, goal, arguments.file, losses)
        told = told_losses(losses)
    else:
        body, shown = read_json(arguments.file)
        if not isinstance(body, dict):
            raise InvalidRequest(f"{shown} holds no JSON object.")
        if arguments.response:
            out, told = _response(source, goal, cast(Json, body), arguments.model, losses)
        else:
            out, told = _request(source, goal, arguments.goal, cast(Json, body), arguments.model, losses)
        failure = None
        if not (losses and arguments.strict):
            pretty = msgspec.json.format(msgspec.json.encode(out), indent=2)
            sys.stdout.buffer.write(pretty + b"\n")
    for line in told:
        print(line, file=sys.stderr)
    if losses and arguments.strict:
        print(f"interlingua translate: {len(losses)} lost, and --strict allows none.", file=sys.stderr)
    if failure is not None:
        print(f"interlingua translate: the stream ended in an error: {failure.message}", file=sys.stderr)
    return 1 if failure or (losses and arguments.strict) else 0


def _request(
    source: Protocol, goal: Protocol, name: str, body: Json, model: str | None, losses: Losses
) -> tuple[Json, list[str]]:
    """`name`: of the protocol, or of a provider, which may serve models of several makers, each in its maker's protocol."""
    from interlingua.hosts import HOSTS

    request = source.parse_request(body, model, None)
    if name in HOSTS:
        host = HOSTS[name].serving(request.model)
        goal = protocol(host.protocol)
        out = goal.format_request(request, target(request.model, host.quirks, host.seals), losses)
        if host.reshape is not None:
            out, _ = host.reshape(out, goal.request_headers(out, {}), False)
    else:
        out = goal.format_request(request, target(request.model), losses)
    return out, told_losses(losses, lambda path: source.field_path(path, request))


def _response(source: Protocol, goal: Protocol, body: Json, model: str | None, losses: Losses) -> tuple[Json, list[str]]:
    response = source.parse_response(body)
    if model is not None:
        response.model = model
    out = goal.format_response(response, Request(model=response.model, messages=[]), losses)
    return out, told_losses(losses)


def _stream(source: Protocol, goal: Protocol, name: str | None, losses: Losses) -> Failure | None:
    """Writes what each piece read amounts to, at once; the Failure the stream ended in, if it did."""
    formatter = goal.Formatter(_CLIENT, losses)
    failure: Failure | None = None
    for events in _events(source, name):
        failure = next((event for event in events if isinstance(event, Failure)), failure)
        sys.stdout.buffer.write(sse.encode_all(formatter.feed(events)))
        sys.stdout.buffer.flush()
    return failure


def _events(source: Protocol, name: str | None) -> Iterator[list[AnyEvent]]:
    """The events of each piece as it comes; what cannot be read ends them with a Failure, as it does in the gateway."""
    parser, decoder = source.Parser(), sse.Decoder()
    try:
        with open_bytes(name) as file:
            while piece := file.read1(_PIECE):
                yield [event for frame in decoder.feed(piece) for event in parser.feed(frame)]
        yield [event for frame in decoder.close() for event in parser.feed(frame)]
        yield parser.close()
    except UpstreamError as error:
        yield [error.failure]
    except FramingError as error:
        yield [UpstreamGarbage(f"{error}.").failure]
