"""The code of docs/clients/, run as it stands, against two backends of other protocols than the client's own.

The mock's words are known: every recipe has to print an answer, the same streamed, and what a tool's result led to.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from clients import parts
from clients.place import Place
from clients.recipes import PAGES, Recipe, recipes

# A page's models are replaced by these, which call a tool where they have one: backend -> model
MODELS = {
    "openai": "gpt-4o-mock-tool_once",
    "anthropic": "claude-haiku-4-5-mock-tool_once",
    "gemini": "gemini-2.5-flash-mock-tool_once",
}
OWN = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "gemini",
    "aws": "bedrock",
    "vercel-ai-1": "openai",
    "vercel-ai-2": "openai",
    "vercel-ai-3": "anthropic",
    "vercel-ai-4": "gemini",
    "vercel-ai-5": "bedrock",
    "langchain-1": "openai",
    "langchain-2": "anthropic",
    "langchain-3": "gemini",
    "langchain-4": "bedrock",
    "llamaindex": "openai",
    "pydantic-ai-1": "openai",
    "pydantic-ai-2": "anthropic",
    "pydantic-ai-3": "gemini",
}
RECIPES = {recipe.name: recipe for recipe in recipes()}
CODE = {name: recipe for name, recipe in RECIPES.items() if recipe.kind in ("python", "ts")}
SAID = "You said: Why is the sky blue?"


def own(recipe: Recipe) -> str:
    """What the client speaks itself: at OpenAI's provider that is both of OpenAI's protocols."""
    return OWN.get(recipe.name) or OWN[recipe.name.rpartition("-")[0]]


CASES = [(recipe, backend) for recipe in CODE.values() for backend in [name for name in MODELS if name != own(recipe)][:2]]


def ran(recipe: Recipe, text: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """What the code prints; it must end well."""
    if recipe.kind == "python":
        file = folder / "recipe.py"
        command = [str(parts.python(recipe.needs[0])), str(file)]
        env = {"PATH": os.environ["PATH"]}
    else:
        env = {"PATH": request.getfixturevalue("path")}
        file = parts.NODE_FOLDER / "recipe.ts"  # where its packages are found
        command = ["node", "--disable-warning=ExperimentalWarning", str(file)]
    file.write_text(text)
    done = subprocess.run(command, cwd=folder, env=env | {"HOME": str(folder)}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{recipe.name}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(("recipe", "backend"), CASES, ids=[f"{recipe.name}-to-{backend}" for recipe, backend in CASES])
def test_a_recipe_reaches_a_provider_of_another_protocol(
    recipe: Recipe, backend: str, before: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    whole, streamed, tool = ran(recipe, recipe.at(before.url, MODELS[backend]), tmp_path, request).splitlines()
    assert (whole, streamed) == (SAID, SAID)
    assert tool.startswith("The tools gave: weather: ") and "18 °C in mock city" in tool
    asked = before.journal()
    assert {entry["vendor"] for entry in asked} == {backend}
    assert len(asked) == 4
    assert asked[1]["stream"] and asked[1]["chunks"] > 1
    assert "18 °C in mock city" in json.dumps(asked[-1]["body"], ensure_ascii=False)


def test_the_typescript_has_no_error_of_types(path: str) -> None:
    folder = parts.NODE_FOLDER / "types"
    folder.mkdir(exist_ok=True)
    files = [folder / f"{recipe.name}.ts" for recipe in CODE.values() if recipe.kind == "ts"]
    for file in files:
        file.write_text(RECIPES[file.stem].code)
    options = ("--noEmit", "--strict", "--module", "nodenext", "--target", "es2024", "--skipLibCheck", "--types", "node")
    done = subprocess.run(["tsc", *options, *files], cwd=folder, env={"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_a_page_installs_is_what_is_installed() -> None:
    packages = json.loads((Path(parts.__file__).parent / "npm" / "package.json").read_text())["dependencies"]
    known = packages.keys() | parts.PYTHON.keys()
    assert {need for recipe in RECIPES.values() for need in recipe.needs} <= known
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
        # whatever is shown is run: no block is of a kind that nobody runs
        assert set(re.findall(r"^```(\w+)$", page.read_text(), re.M)) <= {"sh", "python", "ts"}
