"""Every setting there is, with its default: the Structs a file is read into, and the Config made of them. Values, no reading.

Durations are seconds, sizes are bytes. docs/configuration.md tells users the same; a test holds the two together.
"""

import os
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from interlingua.config.values import Base, Secret
from interlingua.hosts import Host

Duration = Annotated[float, Meta(extra={"reader": "duration"})]
PositiveDuration = Annotated[float, Meta(extra={"reader": "positive duration"})]
Size = Annotated[int, Meta(extra={"reader": "size"})]
Hedge = Annotated[str, Meta(extra={"reader": "hedge"})]
EnvName = Annotated[str, Meta(extra={"reader": "environment variable"})]
Url = Annotated[str, Meta(extra={"reader": "url"})]
UrlPath = Annotated[str, Meta(extra={"reader": "path"})]
Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]

Step = Literal["model_mapping", "capability", "fallback"]
RetryOn = Literal["429", "5xx", "timeout", "connect", "context_window", "content_filter"]
Capability = Literal[
    "text",
    "streaming",
    "tools",
    "parallel_tools",
    "vision",
    "documents",
    "audio",
    "video",
    "thinking",
    "json_schema",
    "embeddings",
]
Kind = Literal[
    "openai",
    "responses",
    "azure",
    "anthropic",
    "gemini",
    "vertex",
    "bedrock",
    "gemini-cli",
    "mock",
    "vllm",
    "ollama",
    "llamacpp",
    "groq",
    "mistral",
    "deepseek",
    "xai",
    "openrouter",
    "together",
    "fireworks",
    "newapi",
]


PATIENCE: Final = 30.0  # seconds a request waits in all, for keys and between attempts; past them its client is told


class Server(Struct, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Port = 9000  # 0: any free one
    workers: Count = 1  # 0: one per core
    max_body: Size = 64 * 1024**2
    max_head: Size = 64 * 1024
    max_upload: Size = 2 * 1024**3  # of what is passed through as it comes
    max_in_flight: AtLeastOne = 1000
    max_queue: Count = 1000
    drain: Duration = 30.0
    data: str | None = None  # a folder; None: .interlingua beside the file
    linger: Duration = 1.0
    list_models: Duration = 600.0  # how long a backend's own list of models holds; 0: it is not asked

    @property
    def processes(self) -> int:
        """How many workers run: `workers`, or one for each core this process may use."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return self.workers or cores or 1


class ClientKeySettings(Struct, frozen=True, kw_only=True):
    name: str
    key_env: EnvName


class AwsKeySettings(Struct, frozen=True, kw_only=True):
    access_key_id: str
    secret_env: EnvName


class Auth(Struct, frozen=True, kw_only=True):
    mode: Literal["none", "keys"] = "none"
    keys: tuple[ClientKeySettings, ...] = ()
    aws_keys: tuple[AwsKeySettings, ...] = ()


class Breaker(Struct, frozen=True, kw_only=True):
    failures: AtLeastOne = 5
    error_rate: Share = 0.5
    window: PositiveDuration = 30.0
    open_for: PositiveDuration = 15.0


class Routing(Struct, frozen=True, kw_only=True):
    order: tuple[Step, ...] = ("model_mapping", "capability", "fallback")
    default_backend: str | None = None
    default_model: str = "gemini-2.5-flash"
    strategy: Literal["priority", "weighted", "least_busy", "latency", "cheapest"] = "priority"
    deadline: PositiveDuration = 600.0
    connect: PositiveDuration = 10.0
    first_byte: PositiveDuration = 120.0
    idle: PositiveDuration = 120.0
    attempts: AtLeastOne = 3
    backoff: PositiveDuration = 0.25  # before the same backend is asked again, the first time
    retry_on: tuple[RetryOn, ...] = ("429", "5xx", "timeout", "connect")
    heartbeat: Duration = 15.0  # 0: off
    whole_heartbeat: Duration = 0.0  # 0: off
    stream_upstream: bool = False
    early_stop: tuple[str, ...] = ()
    early_stop_models: dict[str, tuple[str, ...]] = {}
    hedge: Hedge = "off"
    breaker: Breaker = Breaker()
    fallbacks: dict[str, tuple[str, ...]] = {}


class Log(Struct, frozen=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    requests: str = "off"  # or a folder
    requests_size: Size = 64 * 1024**2  # of one file
    requests_files: AtLeastOne = 8
    sample: Share = 1.0


class Limits(Struct, frozen=True, kw_only=True):
    rpm: AtLeastOne | None = None
    rpd: AtLeastOne | None = None
    tpm: AtLeastOne | None = None


class HealthSettings(Struct, frozen=True, kw_only=True):
    path: UrlPath | None = None  # None: no active check
    interval: PositiveDuration = 30.0


class ModelSettings(Struct, frozen=True, kw_only=True):
    """What one of a backend's models takes; None: what is said of the backend."""

    capabilities: Literal["auto"] | tuple[Capability, ...] | None = None
    context: AtLeastOne | None = None  # tokens


INSTALL_CLI: Final = "npm install -g @google/gemini-cli"


class CliSettings(Struct, frozen=True, kw_only=True):
    """The Gemini CLI's processes, of each worker of the gateway."""

    command: str = "gemini"
    max_processes: AtLeastOne = 2
    prompts_per_worker: AtLeastOne = 5  # at once
    max_queue: Count = 100
    max_memory: Size = 768 * 1024**2  # of one process; past it, it is replaced
    max_retries: Count = 2  # of a 429
    retry_delay: Duration = 1.0


class BackendSettings(Struct, frozen=True, kw_only=True):
    """A backend as it is written."""

    protocol: Kind
    url: Url | None = None
    api_key_env: EnvName | None = None
    api_key_envs: tuple[EnvName, ...] = ()
    api_keys_file: str | None = None
    capabilities: Literal["auto"] | tuple[Capability, ...] = "auto"
    early_stop: tuple[str, ...] = ()
    priority: int = 10
    weight: Count = 1
    limits: Limits = Limits()
    health: HealthSettings = HealthSettings()
    cli: CliSettings = CliSettings()
    model_mapping: dict[str, str] = {}
    models: dict[str, ModelSettings] = {}  # by the provider's name, or a pattern of such
    api_version: str | None = None
    project: str | None = None
    location: str | None = None
    access_token_env: EnvName | None = None
    aws_region: str | None = None
    claude: Literal["converse", "invoke"] | None = None  # None: converse


class Parameters(Struct, frozen=True, kw_only=True):
    """What an agent asks with where its client says nothing."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: AtLeastOne | None = None
    max_tokens: AtLeastOne | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    effort: Literal["minimal", "low", "medium", "high", "xhigh", "max"] | None = None


class Agent(Struct, frozen=True, kw_only=True):
    """A model with a task of its own, that clients name `agent/NAME`. `fallback`: models, in the order they are tried."""

    model: str
    description: str | None = None
    instructions: str | None = None
    fallback: tuple[str, ...] = ()
    parameters: Parameters = Parameters()


class Tasks(Struct, frozen=True, kw_only=True):
    """What is kept of agents' tasks, and how many run."""

    at_once: AtLeastOne = 8  # in each worker, of those in the background
    queue: AtLeastOne = 1000  # waiting, over all workers
    kept: AtLeastOne = 1000  # of those that have ended
    size: Size = 256 * 1024**2
    age: PositiveDuration = 7 * 86_400.0


class Settings(Struct, frozen=True, kw_only=True):
    """A whole file as it is written."""

    server: Server = Server()
    auth: Auth = Auth()
    routing: Routing = Routing()
    log: Log = Log()
    tasks: Tasks = Tasks()
    agents: dict[str, Agent] = {}
    backends: dict[str, BackendSettings] = {}


class Backend(Struct, frozen=True, kw_only=True):
    """A backend ready for use. `keys` is its pool of credentials, empty where none is needed, and `key_env` the variable that
    a single one came from; `limits` are one worker's share for each key; lower `priority` comes first."""

    name: str
    host: Host
    base: Base
    prefix: str
    keys: tuple[Secret, ...] = ()
    key_env: str | None = None
    access_token: Secret | None = None
    limits: Limits = Limits()
    priority: int = 10
    model_mapping: dict[str, str] = {}
    settings: BackendSettings

    @property
    def protocol(self) -> str:
        """The wire format it speaks: a key of PROTOCOLS."""
        return self.host.protocol

    @property
    def url(self) -> str:
        return f"{self.base}{self.prefix}"

    @property
    def identity(self) -> tuple[object, ...]:
        """Who is asked, and as whom: what is known of one such backend holds for another."""
        return self.host, self.base, self.prefix, self.keys, self.access_token


class Overrides(Struct, frozen=True, kw_only=True):
    """What the command line says over the file; None: nothing."""

    host: str | None = None
    port: int | None = None
    workers: int | None = None
    backend: str | None = None


class ClientKey(Struct, frozen=True):
    """What a client of ours may show."""

    name: str
    secret: Secret


class Config(Struct, frozen=True, kw_only=True):
    """Everything decided. `backends` is in the order written; `found` tells a person where all this came from."""

    server: Server = Server()
    auth: Auth = Auth()
    routing: Routing = Routing()
    log: Log = Log()
    tasks: Tasks = Tasks()
    agents: dict[str, Agent] = {}
    data: str = ""  # the folder of what is kept, where there are agents
    backends: dict[str, Backend]
    client_keys: tuple[ClientKey, ...] = ()
    aws_keys: tuple[ClientKey, ...] = ()  # named by their access key ids
    source: str  # the file's name, or "environment"
    overrides: Overrides = Overrides()
    found: tuple[str, ...] = ()
