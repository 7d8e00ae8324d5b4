"""Drive the engine from a capture file, the very same as from a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from strep.analysis import Analysis, Consumer, PluginCounts, PluginRun
from strep.audio.formats import AudioFormat, PayloadTypeMap
from strep.live.pipeline import Pipeline
from strep.net.capture import CaptureReader, conversation_formats, open_capture
from strep.plugins.registry import PluginSource
from strep.sinks.base import Sink
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import StreamClosed, StreamIdentity, StreamReport
from strep.stream.outbox import Output
from strep.wire.batch import DatagramBatch, Endpoint

#: A day: in a file, silence does not mean that a call is over, and no state has to be given back.
_IDLE_TIMEOUT_S = 86_400
#: Nobody waits for what is in a file, and fewer batches take less time: half of what 20 ms would, with one stream.
_BATCH_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class CaptureResult:
    """What a capture held: a report for each stream, the fates of its datagrams, and the reader with its counts.

    plugins: what became of each plugin.
    """

    streams: list[StreamReport]
    datagrams: dict[str, int]
    reader: CaptureReader
    plugins: dict[str, PluginCounts] = field(default_factory=dict)


def read_capture(
    path: str | Path | Sequence[str | Path],
    *,
    sinks: Sequence[Sink] = (),
    plugins: Sequence[PluginSource | PluginRun] = (),
    consumers: Sequence[Consumer] = (),
    config: EngineConfig | None = None,
    payload_types: Mapping[int, AudioFormat] | None = None,
    indexed: Callable[[int, int], None] | None = None,
    fed: Callable[[int, int], None] | None = None,
) -> CaptureResult:
    """Run a capture through an engine into `sinks`, which are closed at the end.

    path: of its file, or files in the order of their writing. A series of a spool (strep.net.spool) is done again as
    its receiver did it: fed and advanced in the same steps, and told the same, unless `config` says otherwise.
    plugins: what listens to the streams, see strep.analysis; consumers: are told what it finds, and all events.
    payload_types: what the caller says, which goes before what SDP in the same file says of a plain RTP call, which
    goes before RFC 3551. indexed(bytes done, all), fed(datagrams done, all): progress of the two passes.
    Raises CaptureFileError when the file is no capture.
    """
    try:
        analysis = Analysis(plugins, consumers=consumers, live=False)
        paths = [path] if isinstance(path, str | Path) else path
        reader = open_capture(*paths, progress=indexed)
    except BaseException:
        for sink in sinks:
            sink.close()
        raise
    reports: list[StreamReport] = []

    def listen(output: Output) -> None:
        if isinstance(output, StreamClosed):
            reports.append(output.report)

    engine = Engine(_configure(config, reader, payload_types or {}))
    pipeline = Pipeline(engine, sinks, listen, [analysis] if plugins or consumers else ())
    done = 0
    try:
        for batch, watermark_ns in reader.turns() if reader.spool else _turns(reader):
            if batch is not None:
                pipeline.feed(batch)
                done += len(batch)
            pipeline.advance(watermark_ns)
            if fed is not None:
                fed(done, len(reader))
    finally:
        pipeline.close()
    reports.sort(key=lambda report: report.start_ns)
    return CaptureResult(reports, engine.counts(), reader, analysis.counts())


def _turns(reader: CaptureReader) -> Iterator[tuple[DatagramBatch | None, int]]:
    for batch in reader.batches(max_span_ns=_BATCH_NS):
        yield batch, int(batch.arrival_ns[-1])


def _configure(config: EngineConfig | None, reader: CaptureReader, told: Mapping[int, AudioFormat]) -> EngineConfig:
    """Say what payload types mean: what the caller knows, else what the capture says, in SDP of each call."""
    if reader.spool:
        spooled = reader.spool.configure(EngineConfig())
        return (spooled if config is None else config).with_payload_types(told)
    config = config or EngineConfig()
    common = config.payload_types.with_overrides(told)
    by_conversation = {
        conversation: common.with_overrides(formats).with_overrides(told)
        for conversation, formats in conversation_formats(reader).items()
    }

    def payload_types_of(identity: StreamIdentity, endpoint: Endpoint) -> PayloadTypeMap | None:
        of_stream = config.payload_types_of(identity, endpoint) if config.payload_types_of else None
        if of_stream is not None:
            return of_stream
        return by_conversation.get(endpoint.conversation) if identity.call_leg_id is None else None

    return replace(config, payload_types=common, payload_types_of=payload_types_of, idle_timeout_s=_IDLE_TIMEOUT_S)
