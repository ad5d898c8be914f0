"""What a configuration says of capabilities and keys: read strictly, and every mistake told with file, line and key."""

from pathlib import Path

import pytest

from interlingua.config import Limits, load
from interlingua.errors import ConfigError


def mistakes(folder: Path, text: str) -> list[str]:
    file = folder / "interlingua.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(file), {})
    told = [str(caught.value), *getattr(caught.value, "__notes__", ())]
    return [line.removeprefix(f"{folder}/") for line in told]


def test_mistakes_about_models_name_their_place(tmp_path: Path):
    text = """
[backends.x]
protocol = "vllm"
capabilities = []
[backends.x.models."a*b*"]
context = 0
[backends.x.models."m"]
capabilities = ["text", "sight"]
contxt = 5
"""
    words = "text, streaming, tools, parallel_tools, vision, documents, audio, video, thinking, json_schema, embeddings"
    assert mistakes(tmp_path, text) == [
        'interlingua.toml:6: backends.x.models."a*b*".context must be at least 1.',
        f"interlingua.toml:8: backends.x.models.m.capabilities[1] must be one of {words}.",
        "interlingua.toml:9: backends.x.models.m.contxt is no setting; did you mean `context`?",
    ]
    good = text.replace("context = 0", "context = 9").replace(', "sight"', ', "text"').replace("contxt", "context")
    assert mistakes(tmp_path, good) == [
        "interlingua.toml:4: backends.x.capabilities is empty, so that nothing would be asked of it: leave it out.",
        'interlingua.toml:5: backends.x.models."a*b*" has more than one `*`.',
        "interlingua.toml:8: backends.x.models.m.capabilities[1] repeats an earlier one.",
    ]


def test_workers_share_a_quota_evenly(tmp_path: Path):
    text = "[server]\nworkers = 4\n[backends.x]\nprotocol = 'vllm'\n[backends.x.limits]\nrpm = 15\nrpd = {}\n"
    file = tmp_path / "interlingua.toml"
    file.write_text(text.format(400))
    assert load(str(file), {}).backends["x"].limits == Limits(rpm=3, rpd=100)
    assert mistakes(tmp_path, text.format(3)) == [
        "interlingua.toml:7: backends.x.limits.rpd is shared out among 4 workers, and is less than one for each: "
        "run fewer workers."
    ]


def test_a_fallbacks_name_has_one_star_at_most(tmp_path: Path):
    text = '[backends.x]\nprotocol = "vllm"\n[routing.fallbacks]\n"a*b*" = []\n'
    assert mistakes(tmp_path, text) == ['interlingua.toml:4: routing.fallbacks."a*b*" has more than one `*`.']
