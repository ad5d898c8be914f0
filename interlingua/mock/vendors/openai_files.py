"""What OpenAI has beside answers, as far as it shows how bytes travel: files, speech, pictures.

Shapes: openai.types.FileObject, ImagesResponse; speech is bytes. Nothing is kept: a file's id tells what was in it.
"""

from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

from interlingua.mock.talk import digest
from interlingua.mock.wire import Call, Json, Reply, bad, decode, encode

_PURPOSES: Final = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_CREATED: Final = 1_790_000_000
_PICTURE: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def files(call: Call) -> Reply:
    """POST /v1/files: a form with a purpose and a file."""
    kind = call.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data; boundary="):
        raise bad("The body must be multipart/form-data.")
    form = BytesParser(policy=HTTP).parsebytes(f"content-type: {kind}\r\n\r\n".encode("latin-1") + call.body)
    fields: dict[str, tuple[str | None, bytes]] = {}
    for part in form.iter_parts():
        content = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        fields[str(name)] = part.get_filename(), content if isinstance(content, bytes) else b""
    for name in ("file", "purpose"):
        if name not in fields:
            raise bad(f"Missing required parameter: '{name}'.", name)
    filename, data = fields["file"]
    purpose = fields["purpose"][1].decode("latin-1").strip()
    if purpose not in _PURPOSES:
        raise bad(f"Invalid value: '{purpose}'.", "purpose")
    told: Json = {"id": f"file-{digest(data)[:24]}", "object": "file", "bytes": len(data), "created_at": _CREATED}
    return Reply(encode({**told, "filename": filename or "file", "purpose": purpose, "status": "processed"}))


def speech(call: Call) -> Reply:
    """POST /v1/audio/speech: bytes that depend on the words."""
    body = decode(call)
    for name in ("input", "model", "voice"):
        if not isinstance(body.get(name), str):
            raise bad(f"Missing required parameter: '{name}'.", name)
    return Reply(b"\xff\xfb\x90\x00" + digest(body["input"]).encode() * 4096, content_type="audio/mpeg")


def pictures(call: Call) -> Reply:
    """POST /v1/images/generations: one pixel."""
    if not isinstance(decode(call).get("prompt"), str):
        raise bad("Missing required parameter: 'prompt'.", "prompt")
    return Reply(encode({"created": _CREATED, "data": [{"b64_json": _PICTURE}]}))
