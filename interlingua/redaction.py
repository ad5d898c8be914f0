"""What of a request or an answer may be written down. Words may; keys, tokens, signatures and long data may not.

By name: whatever a header or a field is called after a secret. By form: keys as the vendors make them, signed URLs, data URLs
and anything long that is base64. By value: the keys of this configuration.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, cast

HIDDEN: Final = "[redacted]"
SHORTEST: Final = 6  # characters of a key that is looked for: less would be found in any word
_LONG: Final = 256  # characters of base64 that are shown as their number alone

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAME: Final = re.compile(r"(authorization|api_?key|_key|secret|cookie|password|passwd|_token|credentials?|signature)$")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=_-]+")
_DATA_URL: Final = re.compile(r"(data:[\w./+;=-]{0,200},)([^\s\"']{64,})")
_SIGNED: Final = re.compile(
    r"([?&](?:sig|signature|key|api_?key|token|access_token|x-(?:amz|goog)-(?:signature|credential|security-token))=)[^&\s\"']+",
    re.IGNORECASE,
)
_FORMS: Final = (
    r"\b(?:sk|pk|rk|gsk|xai|ghp|github_pat|hf|r8|AIza|ya29\.|AQ\.)[-_A-Za-z0-9.]{16,}",
    r"\b(?:AKIA|ASIA|ABSK)[A-Za-z0-9+/=]{12,}",
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",
    r"(?<=Bearer )[^\s\"']{8,}",
)


class Redaction:
    """`secrets`: the values that must not be seen anywhere."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted((re.escape(secret) for secret in secrets if len(secret) >= SHORTEST), key=len, reverse=True)
        self._hidden = re.compile("|".join((*known, *_FORMS)))

    def text(self, text: str) -> str:
        if len(text) >= _LONG and _BASE64.fullmatch(text):
            return f"[{len(text)} characters]"
        text = _DATA_URL.sub(lambda found: f"{found[1]}[{len(found[2])} characters]", text)
        return _SIGNED.sub(rf"\1{HIDDEN}", self._hidden.sub(HIDDEN, text))

    def value(self, value: Any, name: str = "") -> Any:
        """The same without its secrets. `name` is what it is called."""
        if isinstance(value, str):
            return HIDDEN if value and is_secret(name) else self.text(value)
        if isinstance(value, dict):
            table = cast("dict[str, Any]", value)
            if is_secret(name) and isinstance(table.get("data"), str):  # a Signature
                return {**table, "data": f"[{len(table['data'])} characters]"}
            return {key: self.value(inner, key) for key, inner in table.items()}
        if isinstance(value, list):
            return [self.value(inner, name) for inner in cast("list[Any]", value)]
        return value


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether what is called so is a secret."""
    return _NAME.search(_CAMEL.sub("_", name).lower().replace("-", "_")) is not None
