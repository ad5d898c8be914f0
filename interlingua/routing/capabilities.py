"""What a backend's model is known to have and to lack. What the configuration lists is its word, and whole: what a list leaves
out is lacking. Without a list ("auto") it is what the provider's row, its protocol and the model's name tell; the rest is
unknown, and never held against anyone.

What is known of models stands in models.py, of Bedrock's in protocols/bedrock/family.py, of hosts in hosts.py; here is only
what a protocol's own request cannot say.
"""

from typing import Final

from msgspec import Struct

from interlingua.config import Backend, key_for
from interlingua.models import facts
from interlingua.protocols.bedrock.family import family
from interlingua.routing.needs import ALL, BIT, EMBEDDINGS, PARALLEL, TEXT, THINKING, bits, named

# protocol -> what its request cannot carry. Sources: openai types.chat ChatCompletionContentPartParam (text, image_url,
# input_audio, file), types.responses ResponseInputContentParam; anthropic types ContentBlockParam, and its docs on embeddings.
_MUTE: Final = {
    "openai": bits(("video",)),
    "responses": bits(("video",)),
    "anthropic": bits(("audio", "video", "embeddings")),
    "gemini": 0,
    "bedrock": 0,
}
_EVERY: Final = bits(("text", "streaming"))  # of every protocol's chat
_KINDS: Final = {"image": BIT["vision"], "document": BIT["documents"], "audio": BIT["audio"], "video": BIT["video"]}
# An answer without these is still an answer; what was dropped is told. So what is only known of a model is no refusal.
_WISHES: Final = THINKING | PARALLEL
_TOOLS: Final = bits(("tools", "parallel_tools"))


class Abilities(Struct, frozen=True):
    """Capabilities as bits. `has`: known to be there; `lacks`: known not to be; `weak`: lacking, but an answer is possible
    without them. `context`: tokens, None unknown. `listed`: the configuration's word, not a guess by names."""

    has: int = 0
    lacks: int = 0
    weak: int = 0
    context: int | None = None
    listed: bool = False


def abilities(backend: Backend, model: str) -> Abilities:
    """`model` is the provider's name."""
    key = key_for(backend.settings.models, model)
    own = None if key is None else backend.settings.models[key]
    listed = backend.settings.capabilities
    if own is not None and own.capabilities is not None:
        listed = own.capabilities
    context = own.context if own is not None else None
    if listed == "auto":
        return _known(backend, model, context)
    has = bits(listed)
    if has & ~EMBEDDINGS:
        has |= TEXT
    missing = ALL & ~has
    return Abilities(has, missing & ~PARALLEL, missing & PARALLEL, context or facts(model).context, listed=True)


def _known(backend: Backend, model: str, context: int | None) -> Abilities:
    if backend.settings.protocol == "mock":
        return Abilities(has=ALL, context=context)
    host = backend.host.serving(model)
    known = facts(model)
    lacks = _MUTE[host.protocol] | bits(known.lacks)
    if "no_json_schema" in host.quirks:
        lacks |= BIT["json_schema"]
    if host.protocol == "bedrock":
        lacks |= _of_bedrock(model)
    wishes = _WISHES
    if host.name == "gemini-cli":  # takes no tools; without them there is still an answer
        lacks, wishes = lacks | EMBEDDINGS | _TOOLS, _WISHES | _TOOLS
    has = (bits(known.has) | _EVERY) & ~lacks if known.has else 0
    return Abilities(has, lacks & ~wishes, lacks & wishes, context or known.context)


def _of_bedrock(model: str) -> int:
    """What the formatter leaves out for this family."""
    kin = family(model)
    lacks = sum(bit for kind, bit in _KINDS.items() if kind not in kin.media)
    return lacks if kin.schemas else lacks | BIT["json_schema"]


def capability_words(able: Abilities) -> str:
    """For people: what is there, then behind a `?` what is not known."""
    unknown = ALL & ~(able.has | able.lacks | able.weak)
    words = named(able.has) + [f"?{name}" for name in named(unknown)]
    return " ".join(words) if words else "none"
