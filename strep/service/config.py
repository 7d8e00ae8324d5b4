"""Read the service's configuration: TOML, checked before anything is opened, every wrong value in a line of its own.

Paths are relative to the folder of the file. Secrets are not in it: they come from the environment or from files.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, SecretStr, ValidationError, model_validator

from strep.audio.formats import AudioFormat, parse_payload_type
from strep.control.account import Account
from strep.control.sending import DEFAULT_CONNECTIONS
from strep.control.webhooks import read_public_key
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.net.networks import Networks
from strep.net.source import RECEIVE_BUFFER_BYTES
from strep.net.spool import LEAST_SPOOL_BYTES, SPOOL_BYTES
from strep.service.part import Part, problems
from strep.service.plugins import CallAnalysis
from strep.service.quarantine import QuarantineLimits
from strep.service.rules import ForkMode, Rule
from strep.sinks.file_policy import parse_file_mode, parse_fsync
from strep.sinks.recordings import Container, Encoding, FilePolicy, LargeFiles, Layout, QueueLimits

_PORT_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})", re.ASCII)
_LISTEN = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]+)):(\d{1,5})", re.ASCII)
#: Each pair has two sockets and an engine of its own, which takes 4 to 5 % of a core while its call goes on: some 20
#: such calls fill a core, where on `target` thousands do.
_MOST_PORTS = 100
_LARGEST_FILE_BYTES = 1 << 20
#: What is shown of a variable's name: only what nobody would take for a key.
_VARIABLE = re.compile(r"[A-Z][A-Z_]{0,62}[A-Z0-9]", re.ASCII)
_QUEUE = QueueLimits()
_CONTAINERS = {"wav": Container.WAV, "flac": Container.FLAC, "ogg": Container.OGG_OPUS}


def _address(value: Any) -> UdpAddress:
    if not isinstance(value, str):
        raise ValueError(f"expected 'udp:IP:PORT', found {value!r}")
    return UdpAddress.parse(value)


def _announced(address: UdpAddress) -> UdpAddress:
    """Port 0 stands for the one that is listened on; the host must be one that a datagram can be sent to."""
    if not UdpAddress(address.host, address.port or 1).is_destination:
        raise ValueError(f"expected the address that the platform sends to, found {address}")
    return address


def _listen(value: Any) -> tuple[str, int]:
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[3]) > 65_535:
        raise ValueError(f"expected 'HOST:PORT', found {value!r}")
    return match[1] or match[2], int(match[3])


def _ports(value: Any) -> range:
    match = _PORT_RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected ports as in '9100-9199', found {value!r}")
    first, last = int(match[1]), int(match[2])
    if not 1 <= first < last <= 65_535 or last - first >= _MOST_PORTS:
        raise ValueError(f"expected 2 to {_MOST_PORTS} ports between 1 and 65535, found {value!r}")
    return range(first, last + 1)


def _formats(value: Any) -> dict[int, AudioFormat]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"expected a list as in ['116=opus/48000/2'], found {value!r}")
    return dict(parse_payload_type(text) for text in value)


def _networks(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"expected a list as in ['192.76.120.0/22'], found {value!r}")
    Networks.parse(value)
    return tuple(value)


def _container(value: Any) -> Container:
    if value not in _CONTAINERS:
        raise ValueError(f"expected one of {', '.join(_CONTAINERS)}, found {value!r}")
    return _CONTAINERS[value]


def _file_mode(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError(f"expected permissions in octal, as in '640', found {value!r}")
    return FilePolicy(file_mode=parse_file_mode(value)).file_mode


def _fsync(value: Any) -> float | None:
    return FilePolicy(fsync_s=parse_fsync(str(value))).fsync_s


def _path_of_url(value: str) -> str:
    if not value.startswith("/") or len(value) > 200 or any(c in value for c in "?#{} "):
        raise ValueError(f"expected a path as in '/webhooks', found {value!r}")
    return value


def _public_key(value: str) -> str:
    try:
        read_public_key(value)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("public_key: ")) from None
    return value


def _at_least_one(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    if not rules:
        raise ValueError("expected at least one rule, found none: nothing would be forked")
    return rules


Address = Annotated[UdpAddress, PlainValidator(_address)]


class Api(Part):
    """[api]: where the platform is, and where the key to it is kept.

    key_env, key_file: the environment variable, or else the file, that holds the key. secret_env, secret_file: the same
    for the secret of the older API; with one, key and secret go by Basic authentication. base_url: another platform
    than the public one. commands: how many are under way at a time; one that waits to be sent again is not. give_up_s:
    how long a fork command is tried again; the platform knows a command again for 60 s, so after that a repeated one
    could act twice.
    """

    key_env: str | None = None
    key_file: Path | None = None
    secret_env: str | None = None
    secret_file: Path | None = None
    base_url: str | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    commands: Annotated[int, Field(ge=1, le=100)] = DEFAULT_CONNECTIONS
    give_up_s: Annotated[float, Field(ge=1, le=55)] = 55.0

    @model_validator(mode="after")
    def _check(self) -> Api:
        for name in ("key", "secret"):
            if getattr(self, f"{name}_env") and getattr(self, f"{name}_file"):
                raise ValueError(f"expected {name}_env or {name}_file, found both")
        return self

    def read_key(self) -> SecretStr | None:
        """Read the key; None leaves it to the client (TELNYX_API_KEY). Raises ConfigError when it is not there."""
        return _secret("api.key", self.key_env, self.key_file)

    def read_secret(self) -> SecretStr | None:
        """Read the secret of the older API, None where there is none. Raises ConfigError when it is not there."""
        return _secret("api.secret", self.secret_env, self.secret_file)


class Webhooks(Part):
    """[webhooks]: where they arrive, and whose signature they must bear.

    public_key: the platform's, Base64, as its portal shows it, or public_key_env: the environment variable that has it.
    tolerance_s: how old a signature may be.
    """

    listen: Annotated[tuple[str, int], PlainValidator(_listen)] = ("127.0.0.1", 8080)
    path: Annotated[str, AfterValidator(_path_of_url)] = "/webhooks"
    public_key: Annotated[str, AfterValidator(_public_key)] | None = None
    public_key_env: str | None = None
    tolerance_s: Annotated[int, Field(ge=1, le=3600)] = 300

    @model_validator(mode="after")
    def _check(self) -> Webhooks:
        if (self.public_key is None) == (self.public_key_env is None):
            found = "neither" if self.public_key is None else "both"
            raise ValueError(f"expected public_key or public_key_env, found {found}")
        return self

    def read_public_key(self) -> str:
        """Give the key. Raises ConfigError when it is not in the environment, or is none."""
        if self.public_key is not None:
            return self.public_key
        secret = _secret("webhooks.public_key", self.public_key_env, None)
        assert secret is not None, "one of the two is there"
        try:
            return _public_key(secret.get_secret_value())
        except ValueError as error:
            raise ConfigError(f"webhooks.public_key_env: {error}") from None


class Media(Part):
    """[media]: where forked audio arrives.

    target: where calls with `fork = "target"` arrive. ports: from which each call with `fork = "rx_tx"` gets two, on
    the host of target (of all hosts, without one). announce: the address that the platform is told to send to; port 0
    is the one that is listened on. payload_types: what dynamic ones mean. idle_timeout_s: how long a call may be silent
    before its recording is closed. linger_ms: how long after its end the last packets of a call are waited for.
    allow: networks that datagrams are taken from, all others are counted and nothing else; from everywhere, without it.
    strep_only: take nothing but STREP at target. spool: a folder to keep every datagram in that came to target, for
    `strep decode`; spool_bytes: how much of it, beyond that the oldest go.
    """

    target: Address | None = None
    ports: Annotated[range, PlainValidator(_ports)] | None = None
    announce: Annotated[Address, AfterValidator(_announced)]
    payload_types: Annotated[dict[int, AudioFormat], PlainValidator(_formats)] = Field(default_factory=dict)
    playout_delay_ms: Annotated[int, Field(ge=0, le=500)] = 100
    idle_timeout_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    linger_ms: Annotated[int, Field(ge=0, le=10_000)] = 500
    receive_buffer_bytes: Annotated[int, Field(ge=4096, le=1 << 30)] = RECEIVE_BUFFER_BYTES
    allow: Annotated[tuple[str, ...], PlainValidator(_networks)] | None = None
    strep_only: bool = False
    spool: Path | None = None
    spool_bytes: Annotated[int, Field(ge=LEAST_SPOOL_BYTES)] = SPOOL_BYTES

    @model_validator(mode="after")
    def _check(self) -> Media:
        if self.target is None and self.ports is None:
            raise ValueError("expected a target, or ports, found neither")
        if self.strep_only and self.target is None:
            raise ValueError("strep_only: expected a target, found none")
        return self


class Recordings(Part):
    """[recordings]: what is written, where, how files are kept (strep.sinks.file_policy.FilePolicy), and how long.

    write_queue_s, write_queue_bytes: how much audio may wait for a slow disk before some is left out; a call with two
    ports of its own has a queue of its own, of a sixteenth of the bytes.
    recover: whether to finish at the start what a killed recorder left. keep_days, keep_bytes, min_free_bytes: the
    oldest recordings are removed when they ended longer ago, while all together take more, while the file system has
    less left (strep.sinks.retention).
    """

    out: Path
    layout: Annotated[Layout, Field(strict=False)] = Layout.STEREO
    encoding: Annotated[Encoding, Field(strict=False)] = Encoding.PCM16
    format: Annotated[Container, PlainValidator(_container)] = Container.WAV
    file_mode: Annotated[int, PlainValidator(_file_mode)] = FilePolicy().file_mode
    large_files: Annotated[LargeFiles, Field(strict=False)] = LargeFiles.PARTS
    fsync: Annotated[float | None, PlainValidator(_fsync)] = None
    write_queue_s: Annotated[float, Field(ge=2, le=3600)] = _QUEUE.seconds
    write_queue_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = _QUEUE.bytes
    recover: bool = True
    keep_days: Annotated[float, Field(gt=0)] | None = None
    keep_bytes: Annotated[int, Field(gt=0)] | None = None
    min_free_bytes: Annotated[int, Field(gt=0)] | None = None

    @property
    def files(self) -> FilePolicy:
        """Give how files are kept."""
        return FilePolicy(self.file_mode, self.large_files, self.fsync)

    @property
    def queue(self) -> QueueLimits:
        """Give what may wait to be written."""
        return QueueLimits(self.write_queue_s, self.write_queue_bytes)


class Running(Part):
    """[service]: what does not belong elsewhere.

    state_file: where the calls that are forked are kept, for a service that is started again; by default beside the
    recordings. stop_forks: whether to end the forks when the service is stopped, or to let them go on for the next one.
    events: "jsonl" writes each event as a line of JSON to stdout. unknown: what to do with media of calls that neither
    were forked here nor are accepted by a rule.
    """

    state_file: Path | None = None
    stop_forks: bool = False
    events: Literal["none", "jsonl"] = "none"
    unknown: Literal["quarantine", "refuse", "accept"] = "quarantine"


class Limits(Part):
    """[limits]: bounds, so that nobody can fill this machine.

    forks: calls that are forked at one time. calls: that are remembered, ended ones included. undecided: that wait for
    a webhook which says what a rule asks for, undecided_s: for so long; the platform sends a webhook again for a
    minute, and one may come a minute late. Then the rules are taken without it. quarantine_legs: recorded
    in quarantine at one time, quarantine_s: so much of each, quarantine_total: so many until the service ends, and
    quarantine_bytes: so many bytes of all of them.
    hook_queue: things that wait for a hook. stream_hooks: on_stream hooks that run at one time.
    """

    forks: Annotated[int, Field(ge=1, le=10_000)] = 1000
    calls: Annotated[int, Field(ge=1, le=100_000)] = 20_000
    undecided: Annotated[int, Field(ge=1, le=100_000)] = 5000
    undecided_s: Annotated[int, Field(ge=1, le=3600)] = 120
    quarantine_legs: Annotated[int, Field(ge=0, le=1000)] = 10
    quarantine_s: Annotated[int, Field(ge=1, le=3600)] = 60
    quarantine_total: Annotated[int, Field(ge=0, le=100_000)] = 1000
    quarantine_bytes: Annotated[int, Field(ge=0)] = 1 << 30
    hook_queue: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    stream_hooks: Annotated[int, Field(ge=1, le=10_000)] = 2000

    def of_quarantine(self) -> QuarantineLimits:
        """Give what quarantine is to keep to."""
        limit_ns = self.quarantine_s * 1_000_000_000
        return QuarantineLimits(self.quarantine_legs, limit_ns, self.quarantine_total, self.quarantine_bytes)


class ServiceConfig(Part):
    """The configuration of a service; `strep serve --example` prints one with all its keys."""

    api: Api = Field(default_factory=Api)
    webhooks: Webhooks
    media: Media
    recordings: Recordings
    service: Running = Field(default_factory=Running)
    analysis: CallAnalysis = Field(default_factory=CallAnalysis)
    limits: Limits = Field(default_factory=Limits)
    rules: Annotated[tuple[Rule, ...], Field(strict=False), AfterValidator(_at_least_one)]

    @model_validator(mode="after")
    def _check(self) -> ServiceConfig:
        for number, rule in enumerate(self.rules):
            if rule.fork is ForkMode.TARGET and self.media.target is None:
                raise ValueError(f'rules[{number}].fork: expected "rx_tx" or false, for media.target is not set')
            if rule.fork is ForkMode.RX_TX and self.media.ports is None:
                raise ValueError(f'rules[{number}].fork: expected "target" or false, for media.ports is not set')
        if self.recordings.encoding is not Encoding.PCM16 and self.recordings.format is not Container.WAV:
            raise ValueError(f"recordings.encoding: {self.recordings.encoding.value} needs format = 'wav'")
        return self

    def check_surroundings(self) -> None:
        """Check what is not in the file: keys, what the environment says besides, folders. Raises ConfigError."""
        Account.resolve(self.api.read_key(), self.api.base_url, self.api.read_secret())
        self.webhooks.read_public_key()
        _check_folder("recordings.out", self.recordings.out)
        if self.media.spool is not None:
            _check_folder("media.spool", self.media.spool)
        _check_folder("service.state_file", self.state_path.parent)

    @property
    def state_path(self) -> Path:
        """Give where the state file is."""
        return self.service.state_file or self.recordings.out / ".strep-service.state"

    def relative_to(self, folder: Path) -> ServiceConfig:
        """Copy this configuration with relative paths taken from a folder."""
        api, service, media = self.api, self.service, self.media
        return self.model_copy(
            update={
                "api": api.model_copy(
                    update={
                        "key_file": api.key_file and folder / api.key_file,
                        "secret_file": api.secret_file and folder / api.secret_file,
                    }
                ),
                "media": media.model_copy(update={"spool": media.spool and folder / media.spool}),
                "recordings": self.recordings.model_copy(update={"out": folder / self.recordings.out}),
                "service": service.model_copy(
                    update={"state_file": service.state_file and folder / service.state_file}
                ),
            }
        )


def load_config(path: Path | str) -> ServiceConfig:
    """Read a configuration file. Raises ConfigError, a line for each thing that is wrong with it."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE_BYTES + 1)
        if len(content) > _LARGEST_FILE_BYTES:
            raise ConfigError(f"{path}: expected at most {_LARGEST_FILE_BYTES} bytes, found more")
        text = content.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: expected UTF-8, found other bytes") from None
    return read_config(text, str(path)).relative_to(path.parent)


def read_config(text: str, name: str = "configuration") -> ServiceConfig:
    """Read a configuration from TOML. Raises ConfigError, a line for each thing that is wrong with it."""
    try:
        # As JSON: there text is the strict form of paths and enumerations too.
        document = json.dumps(tomllib.loads(text), default=str)
    except (ValueError, RecursionError) as error:  # of numbers of thousands of digits, too, and of keys as deep
        raise ConfigError(f"{name}: expected TOML, found otherwise: {error}") from None
    try:
        return ServiceConfig.model_validate_json(document)
    except ValidationError as error:
        lines = [line.removeprefix("configuration: ") for line in problems(error, ServiceConfig)]
        raise ConfigError("\n".join(f"{name}: {line}" for line in lines)) from None


def _check_folder(name: str, folder: Path) -> None:
    """Raise ConfigError where a folder neither is one that can be written to, nor can be made."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{name}: expected a folder that can be written to, found {there}")


def _secret(name: str, variable: str | None, path: Path | None) -> SecretStr | None:
    if path is not None:
        try:
            text = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            # Not which file: somebody may have put the key itself there.
            raise ConfigError(f"{name}_file: cannot read it: {getattr(error, 'strerror', None) or error}") from None
        if not text:
            raise ConfigError(f"{name}_file: expected it in that file, found nothing")
        return SecretStr(text)
    if variable is not None:
        text = os.environ.get(variable, "").strip()
        if not text:
            shown = f" {variable}" if _VARIABLE.fullmatch(variable) else ""  # else it may be the key itself
            raise ConfigError(f"{name}_env: expected it in the environment variable{shown}, found nothing")
        return SecretStr(text)
    return None
