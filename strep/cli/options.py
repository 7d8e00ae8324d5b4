"""Declare the options that several commands have, and make of them what the library takes."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from strep.audio.decoders import is_decodable, new_decoder
from strep.audio.formats import AudioFormat, parse_payload_type
from strep.errors import ConfigError, SinkError
from strep.sinks.recordings import Container, Encoding, FilePolicy, Layout, RecordingSink
from strep.stream.engine import EngineConfig
from strep.stream.formats import EVENT, NOISE, REDUNDANT

#: What the engine does unless told otherwise.
ENGINE = EngineConfig()
#: How files are kept unless told otherwise.
FILE_MODE = f"{FilePolicy().file_mode:o}"
#: Recordings that are remembered for the table at the end, a few kilobytes each; it says how many more there were.
KEPT_RECORDINGS = 10_000


class FileFormat(enum.StrEnum):
    """What --format takes."""

    WAV = "wav"
    FLAC = "flac"
    OGG = "ogg"

    @property
    def container(self) -> Container:
        """Give the container that this names."""
        return {FileFormat.WAV: Container.WAV, FileFormat.FLAC: Container.FLAC, FileFormat.OGG: Container.OGG_OPUS}[
            self
        ]


CaptureFile = Annotated[Path, typer.Argument(metavar="FILE", help="A pcap or pcapng file.", show_default=False)]
CaptureFiles = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="pcap or pcapng files: one capture, or what `strep record --spool` kept. A folder stands for all in it.",
        show_default=False,
    ),
]
OutFolder = Annotated[
    Path, typer.Option("--out", help="Folder for the recordings; nothing in it is overwritten.", show_default=False)
]
LayoutOption = Annotated[
    Layout, typer.Option("--layout", help="One stereo file a leg (in left, out right), or one file a direction.")
]
EncodingOption = Annotated[Encoding, typer.Option("--encoding", help="Samples of WAV files; G.711 for G.711 calls.")]
FormatOption = Annotated[FileFormat, typer.Option("--format", help="File format; ogg is Ogg Opus.")]
PayloadTypes = Annotated[
    list[str] | None,
    typer.Option(
        "--pt",
        metavar="N=CODEC/RATE",
        help="What a payload type means, such as 116=opus/48000/2. Give it as often as needed.",
        show_default=False,
    ),
]
PlayoutDelay = Annotated[int, typer.Option("--playout-delay-ms", help="How long a packet waits for an earlier one.")]
FileModeOption = Annotated[
    str,
    typer.Option("--file-mode", metavar="OCTAL", help="Permissions of recordings and their JSON files, such as 640."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


def payload_types(texts: Sequence[str] | None) -> dict[int, AudioFormat]:
    """Read every --pt. Raises ConfigError for one that cannot be, or that nothing here could make sense of."""
    told = {}
    for text in texts or ():
        number, format = parse_payload_type(text)
        if not is_of_use(format):
            try:
                new_decoder(format)
            except ConfigError as error:  # it says what can be decoded
                raise ConfigError(f"--pt {text}: {error}") from None
        told[number] = format
    return told


def is_of_use(format: AudioFormat) -> bool:
    """Tell whether we decode a format, or know what it is instead: events, comfort noise, RED."""
    return format.encoding in (EVENT, NOISE, REDUNDANT) or is_decodable(format)


def new_sink(
    directory: Path, layout: Layout, encoding: Encoding, file_format: FileFormat, files: FilePolicy
) -> RecordingSink:
    """Make the sink that the options ask for. Raises ConfigError and SinkError."""
    if directory.exists() and not directory.is_dir():
        raise SinkError(f"cannot record into {directory}: it is a file, expected a folder")
    return RecordingSink(
        directory,
        layout=layout,
        encoding=encoding,
        container=file_format.container,
        files=files,
        keep=KEPT_RECORDINGS,
    )
