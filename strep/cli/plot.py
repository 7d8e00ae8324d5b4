"""`strep plot`: draw a call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from strep.audio.formats import AudioFormat
from strep.cli.compiling import compile_ahead
from strep.cli.errors import say
from strep.cli.files import is_capture
from strep.cli.options import JsonOption, PayloadTypes, payload_types
from strep.cli.output import print_json
from strep.cli.progress import Bar
from strep.pictures.draw import check_picture, draw
from strep.pictures.of_capture import sheet_of_capture
from strep.pictures.of_recording import sheet_of_recording
from strep.pictures.sheet import Sheet


def plot(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A capture, or a recording.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", help="The picture: .png, .svg or .pdf; overwritten.", show_default=False)
    ],
    call: Annotated[
        str | None, typer.Option("--call", help="Which call of a capture.", show_default="the longest")
    ] = None,
    pt: PayloadTypes = None,
    as_json: JsonOption = False,
) -> None:
    r"""Draw a call: waveforms, spectrograms, delay and jitter.

    What was lost, concealed or silent is shaded; keys and changes of codec are
    marked. A recording is drawn with what its sidecar says. Needs matplotlib:
    pip install 'strep\[plot]'.
    """
    check_picture(out)
    told = payload_types(pt)
    sheet = _sheet(file, call, told)
    draw(sheet, out)
    if as_json:
        print_json({"picture": str(out), "call": sheet.title, "duration_s": round(sheet.end_s, 3)})
    else:
        say(f"{sheet.title}, {sheet.end_s:.1f} s: {out}")


def _sheet(file: Path, call: str | None, told: Mapping[int, AudioFormat]) -> Sheet:
    if not is_capture(file):
        return sheet_of_recording(file)
    compile_ahead()
    with Bar() as bar:
        return sheet_of_capture(file, call=call, payload_types=told, indexed=bar.indexed, fed=bar.fed)
