"""Tool names in Bedrock's alphabet, and back: `[a-zA-Z0-9_-]`, 64 at most.

What reads an answer does not know its request, so a changed name says itself that it was changed, and what it was:
"il-" and the name with every other character escaped by a hyphen ("get.weather" is "il-get-dweather"). Only a name too
long for that is cut, "ilh-" and a digest before its end, and remembered, for the answer comes to the process that asked.
"""

import re
from collections import OrderedDict
from functools import lru_cache
from hashlib import sha256
from typing import Final

LONGEST: Final = 64
_LEGAL: Final = re.compile(r"(?!ilh?-)[a-zA-Z0-9_-]{1,64}").fullmatch
_SPELLED, _CUT = "il-", "ilh-"
_ESCAPES: Final = {"-": "--", ".": "-d", ":": "-c", "/": "-s", " ": "-w", "$": "-m", "@": "-a"}
_BACK: Final = {escape[1]: char for char, escape in _ESCAPES.items()}
_ESCAPED: Final = re.compile(r"-(?:([-dcswma])|x([0-9a-f]{1,6})-)")
_OTHER: Final = re.compile(r"[^a-zA-Z0-9_]")
_CHARS: Final = 1024  # of a name that is remembered
_MOST: Final = 1 << 14

_remembered: OrderedDict[str, str] = OrderedDict()  # cut name -> whole; the newest, 20 MB at worst


@lru_cache(maxsize=4096)
def _respelled(name: str) -> str | None:
    spelled = _SPELLED + _OTHER.sub(lambda match: _ESCAPES.get(match[0]) or f"-x{ord(match[0]):x}-", name)
    return spelled if name and len(spelled) <= LONGEST else None


def wire_name(name: str) -> str:
    """The name that Bedrock is told. Always the same for the same name: prompt caches match bytes."""
    if _LEGAL(name):
        return name
    if len(name) <= LONGEST and (spelled := _respelled(name)) is not None:
        return spelled
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    cut = f"{_CUT}{digest}-{_OTHER.sub('_', name[-(LONGEST - len(_CUT) - len(digest) - 1) :])}"
    if len(name) <= _CHARS:
        _remembered[cut] = name
        _remembered.move_to_end(cut)
        if len(_remembered) > _MOST:
            _remembered.popitem(last=False)
    return cut


def own_name(name: str) -> str:
    """What a name of Bedrock's telling was before wire_name."""
    if name.startswith(_SPELLED):
        return _ESCAPED.sub(_unescape, name.removeprefix(_SPELLED))
    return _remembered.get(name, name) if name.startswith(_CUT) else name


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return _BACK[match[1]]
    code = int(match[2], 16)
    return chr(code) if code < 0x110000 else match[0]
