"""`interlingua explain`: which backend a request would go to, why, and what it would lose there."""

import argparse
import os
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import msgspec

from interlingua.commands import Commands, add_config, aligned, describe, protocol, read_json, told_losses, write
from interlingua.config import Backend, Config
from interlingua.errors import ConfigError, GatewayError, InvalidRequest, Unsupported
from interlingua.ir import Json, Request
from interlingua.losses import Losses
from interlingua.protocols import Protocol, target
from interlingua.routing import TEXT, Plan, Router, estimate, named


def add(commands: Commands) -> None:
    examples = (
        "interlingua explain --config interlingua.toml request.json",
        "interlingua explain --model gpt-4o",
        "curl ... | interlingua explain --from anthropic -",
    )
    text = "Tells which backend a request would go to, and why."
    command = commands.add_parser("explain", **describe(text, examples))
    add_config(command)
    command.add_argument("--model", metavar="NAME", help="the model asked for, where no request is given or its body names none")
    command.add_argument(
        "--from", dest="source", metavar="PROTOCOL", help="the request's protocol (default: guessed from its body)"
    )
    command.add_argument("--json", action="store_true", help="the decision as one JSON object")
    command.add_argument("request", nargs="?", metavar="REQUEST.json", help="a client's request; `-` is stdin")
    command.set_defaults(run=run, stays=False)


def run(arguments: argparse.Namespace) -> int:
    from interlingua.agents.dress import PREFIX, Agents
    from interlingua.config import find

    if arguments.request is None and arguments.model is None:
        raise ConfigError("explain needs a REQUEST.json, `-` for stdin, or --model NAME.")
    config = find(arguments.config, os.environ)
    router = Router(config)
    agents = Agents(config.agents, router)
    asked = _read(arguments) if arguments.request is not None else None
    model = asked.request.model if asked else arguments.model
    try:
        if asked or model.startswith(PREFIX):
            plan = agents.plan(asked.request if asked else Request(model=model, messages=[]))
        else:
            plan = router.plan_for(model, TEXT)
    except Unsupported as error:
        if arguments.json:
            write(_encoded({"model": model, "error": str(error)}))
            return 1
        write(aligned([*_asked(model, asked), ("refused", str(error))]) + "\n")
        return 1
    decision = plan.first
    backend = config.backends[decision.backend]
    dressed = agents.dressed(asked.request) if asked else None
    losses = _losses(asked, dressed, decision.model, backend) if asked and dressed else []
    if arguments.json:
        write(_encoded(_object(config, model, plan, asked, dressed, losses)))
        return 0
    rows = [
        *_asked(model, asked),
        ("needs", ", ".join(named(plan.needs))),
        *([("prompt", f"about {estimate(dressed)} tokens")] if dressed else []),
        ("backend", f"{backend.name} ({backend.settings.protocol} at {backend.url})"),
        ("provider model", decision.model),
        ("route", f"{decision.route}: {decision.reason}"),
        *_pool(config, plan),
        *(("then", f"{other.backend}: {other.model} ({other.reason})") for tier in plan.tiers[1:] for other in tier),
        *(("passed over", f"{other.backend}: {other.model} {other.why}") for other in plan.refused),
        *(() if model.startswith(PREFIX) else _otherwise(router, model, plan)),
        *losses,
    ]
    write(aligned(rows) + "\n")
    return 0


def _asked(model: str, asked: "_Asked | None") -> list[tuple[str, str]]:
    return [("model", model), *([("protocol", asked.told)] if asked else [])]


def _pool(config: Config, plan: Plan) -> Iterator[tuple[str, str]]:
    """Who else serves the name, and who of them is asked."""
    pool = plan.tiers[0]
    least = min(config.backends[one.backend].priority for one in pool)
    for other in pool[1:]:
        priority = config.backends[other.backend].priority
        reserve = f", priority {priority}: a reserve" if priority > least else ""
        yield "same pool", f"{other.backend}: {other.model}{reserve}{', lacks a wish: tried last' if other.weak else ''}"
    if len(pool) > 1:
        yield "strategy", f"{config.routing.strategy}, among those that are well"


def _object(
    config: Config, model: str, plan: Plan, asked: "_Asked | None", dressed: Request | None, losses: list[tuple[str, str]]
) -> dict[str, Any]:
    """The decision for programs. `tiers` are tried in turn; `tokens` is the prompt's estimate."""
    told: dict[str, Any] = {"model": model, "needs": named(plan.needs), "strategy": config.routing.strategy}
    if asked and dressed:
        told |= {"protocol": asked.source.NAME, "tokens": estimate(dressed)}
        told["losses"] = [words if name == "loss" else f"{name}: {words}" for name, words in losses]
    return told | {"tiers": plan.tiers, "refused": plan.refused}


def _encoded(told: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(told)).decode() + "\n"


def _otherwise(router: Router, model: str, plan: Plan) -> Iterator[tuple[str, str]]:
    """Where else the name would lead, were the steps before it left out. One that names its backend is led nowhere else."""
    if plan.first.route == "explicit":
        return
    told = {(one.backend, one.model) for tier in plan.tiers for one in tier} | {(one.backend, one.model) for one in plan.refused}
    for pool in router.pools(model):
        for other in pool:
            if (other.backend, other.model) not in told:
                told.add((other.backend, other.model))
                yield "otherwise", f"{other.backend}: {other.model} ({other.route})"


class _Asked(NamedTuple):
    request: Request
    source: Protocol
    told: str  # the protocol, and how it is known


def _read(arguments: argparse.Namespace) -> _Asked:
    body, shown = read_json(arguments.request)
    if not isinstance(body, dict):
        raise InvalidRequest(f"{shown} holds no JSON object.")
    body = cast(Json, body)
    name = arguments.source or guess(body)
    source = protocol(name)
    told = name if arguments.source else f"{name} (guessed; --from says otherwise)"
    return _Asked(source.parse_request(body, arguments.model, None), source, told)


def _losses(asked: _Asked, request: Request, model: str, backend: Backend) -> list[tuple[str, str]]:
    """What the request would lose at the backend."""
    from interlingua.agents.dress import of_client

    losses = Losses()
    try:
        host = backend.host.serving(model)
        protocol(host.protocol).format_request(request, target(model, host.quirks, host.seals), losses)
    except GatewayError as error:
        return [("refused", str(error))]
    losses = of_client(losses, request, asked.request)
    lines = told_losses(losses, lambda path: asked.source.field_path(path, asked.request))
    return [("loss", line) for line in lines] or [("loss", "none")]


def guess(body: Json) -> str:
    """The protocol a request body is most likely in, by fields that only one has."""
    if "contents" in body:
        return "gemini"
    if body.keys() & {"system", "stop_sequences", "thinking", "output_config", "anthropic_version", "mcp_servers"}:
        return "anthropic"
    if body.keys() & {"instructions", "input"} and "messages" not in body:
        return "responses"
    tools = body.get("tools")
    ours = isinstance(tools, list) and any("input_schema" in tool for tool in cast("list[Any]", tools) if isinstance(tool, dict))
    return "anthropic" if ours else "openai"
