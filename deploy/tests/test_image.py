"""The image: linted, and every step of the Dockerfile done for real in a folder of its own, then run and asked for its health.

No container engine is needed: FROM is this machine's Python, and the image's absolute paths stand below a temporary folder.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


class Step(NamedTuple):
    word: str
    rest: str


def steps() -> Iterator[Step]:
    """The instructions, their continuation lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.split("\n"))):
        word, _, rest = line.partition(" ")
        yield Step(word, rest.strip())


def test_the_dockerfile_is_clean() -> None:
    done = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split("\n") if line.startswith("!")}
    copied = {word for step in steps() if step.word == "COPY" and "--from" not in step.rest for word in step.rest.split()[:-1]}
    assert copied == allowed


class Image:
    """What the steps leave behind: a folder as root, the environment, the command."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {"PATH": os.environ["PATH"]}
        self.folder = root
        self.entry: list[str] = []
        self.command: list[str] = []
        self.health: list[str] = []
        self.user = ""

    def inside(self, text: str) -> str:
        return re.sub(r"(?<![\w/.])/(opt|etc|var|src)\b", rf"{self.root}/\1", text)

    def do(self, step: Step) -> None:
        match step.word:
            case "WORKDIR":
                self.folder = Path(self.inside(step.rest))
                self.folder.mkdir(parents=True, exist_ok=True)
            case "COPY" if "--from" not in step.rest:  # between the stages the folder is the same
                *sources, target = step.rest.split()
                for source in sources:
                    self.copy(ROOT / source, self.folder / target, target.endswith("/"))
            case "RUN":
                command = ["sh", "-ec", self.inside(step.rest)]
                done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
            case "ENV":
                for name, value in (pair.split("=", 1) for pair in shlex.split(step.rest)):
                    self.env[name] = self.inside(value.replace("$PATH", self.env["PATH"]))
            case "USER":
                self.user = step.rest
            case "ENTRYPOINT":
                self.entry = words(step.rest)
            case "CMD":
                self.command = words(step.rest)
            case "HEALTHCHECK":
                self.health = words(step.rest.partition("CMD ")[2])
            case word:
                assert word in ("FROM", "COPY", "LABEL", "EXPOSE", "STOPSIGNAL"), word

    def copy(self, source: Path, target: Path, into: bool) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            return
        target = target / source.name if into else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def words(array: str) -> list[str]:
    return [str(word) for word in json.loads(array)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    made = Image(tmp_path_factory.mktemp("image"))
    made.env |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    for step in steps():
        made.do(step)
    return made


def test_the_steps_make_an_image_that_runs_and_is_healthy(image: Image) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    env = image.env | {"OPENAI_API_KEY": "any", "PORT": port}
    command = [word.replace("0.0.0.0", "127.0.0.1") for word in (*image.entry, *image.command)]
    process = subprocess.Popen(command, cwd=image.folder, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any(f"listens on http://127.0.0.1:{port}" in line for line in iter(process.stdout.readline, ""))
        assert subprocess.run(image.health, env=env, capture_output=True).returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert subprocess.run(image.health, env=env, capture_output=True).returncode == 1
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_it_is_built_from_the_lock_file_alone(image: Image) -> None:
    listed = subprocess.run(
        [f"{image.root}/opt/interlingua/bin/python", "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True
    )
    names = {line.partition("==")[0].lower().replace("_", "-") for line in listed.stdout.split()}
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/run.txt").read_text(), re.M))
    assert names - {"pip", "setuptools"} == {"interlingua"} | {name for name in locked if name in names}
    assert not names & {"pytest", "ruff", "openai", "anthropic", "boto3"}


def test_it_runs_as_nobody_in_particular(image: Image) -> None:
    assert image.user.isdecimal() and int(image.user) >= 10000


def test_it_writes_only_where_it_may(image: Image) -> None:
    assert image.env["HOME"] == f"{image.root}/var/lib/interlingua"
    assert image.env["PATH"].startswith(f"{image.root}/opt/interlingua/bin:")
    assert sys.version_info >= (3, 11)
