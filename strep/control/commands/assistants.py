"""Be the settings of an AI assistant that takes part in a call: its tools, its messages, who talks to it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from strep.control.commands.part import Part


class BookAppointment(Part):
    """What books an appointment. api_key_ref: names the secret that holds your key to the calendar."""

    api_key_ref: str
    event_type_id: int
    attendee_name: str | None = None
    attendee_timezone: str | None = None


class BookAppointmentTool(Part):
    """A book appointment tool that lets the assistant book appointments."""

    type: Literal["book_appointment"]
    book_appointment: BookAppointment


class CheckAvailability(Part):
    """What looks for free dates. api_key_ref: names the secret that holds your key to the calendar."""

    api_key_ref: str
    event_type_id: int


class CheckAvailabilityTool(Part):
    """A check availability tool that lets the assistant look for free dates."""

    type: Literal["check_availability"]
    check_availability: CheckAvailability


class WebhookParameters(Part):
    """Parameters, described as a JSON schema does."""

    type: Literal["object"] | None = None
    properties: dict[str, Any] | None = None
    required: list[str] | None = None


class WebhookHeader(Part):
    """An HTTP header of a tool's request."""

    name: str | None = None
    value: str | None = None


class Webhook(Part):
    """An HTTP request that an assistant may make."""

    name: str
    description: str
    url: str
    method: Literal["GET", "POST", "PUT", "DELETE", "PATCH"] = "POST"
    headers: list[WebhookHeader] | None = None
    body_parameters: WebhookParameters | None = None
    path_parameters: WebhookParameters | None = None
    query_parameters: WebhookParameters | None = None


class WebhookTool(Part):
    """A webhook tool that lets the assistant make an HTTP request."""

    type: Literal["webhook"]
    webhook: Webhook


class AssistantHangup(Part):
    """An assistant hangup that says when to hang up."""

    description: str = "This tool is used to hang up the call."


class HangupTool(Part):
    """A hangup tool that lets the assistant hang up."""

    type: Literal["hangup"]
    hangup: AssistantHangup


class TransferTarget(Part):
    """Somebody whom the assistant may transfer the call to."""

    to: str
    name: str | None = None


class AssistantTransfer(Part):
    """An assistant transfer that says whom the assistant may transfer the call to, and from which number."""

    from_: str
    targets: list[TransferTarget] | str


class TransferTool(Part):
    """A transfer tool that lets the assistant transfer the call."""

    type: Literal["transfer"]
    transfer: AssistantTransfer


class Buckets(Part):
    """What says where to look for knowledge."""

    bucket_ids: list[str]
    max_num_results: int | None = None


class RetrievalTool(Part):
    """A retrieval tool that lets the assistant look for knowledge."""

    type: Literal["retrieval"]
    retrieval: Buckets


Tool = Annotated[
    BookAppointmentTool | CheckAvailabilityTool | WebhookTool | HangupTool | TransferTool | RetrievalTool,
    Field(discriminator="type"),
]


class ExternalLlm(Part):
    """A language model of your own. The names that end with _ref are those of secrets kept by the platform."""

    base_url: str | None = None
    model: str | None = None
    authentication_method: Literal["token", "certificate"] = "token"
    llm_api_key_ref: str | None = None
    certificate_ref: str | None = None
    token_retrieval_url: str | None = None
    forward_metadata: bool = False


class Fallback(Part):
    """The language model to turn to when the first one fails."""

    model: str | None = None
    llm_api_key_ref: str | None = None
    external_llm: ExternalLlm | None = None


class CallAssistant(Part):
    """An assistant that you configured on the platform, and what shall be different in this call."""

    id: str
    name: str | None = None
    model: str | None = None
    instructions: str | None = None
    greeting: Annotated[str, Field(max_length=3000)] | None = None
    dynamic_variables: dict[str, str | float | bool] | None = None
    tools: list[Tool] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    llm_api_key_ref: str | None = None
    openai_api_key_ref: str | None = None
    external_llm: ExternalLlm | None = None
    fallback_config: Fallback | None = None
    observability_settings: dict[str, Any] | None = None


class GatheringAssistant(Part):
    """An assistant that asks for information."""

    model: str = "Qwen/Qwen3-235B-A22B"
    instructions: str | None = None
    tools: list[Tool] | None = None
    openai_api_key_ref: str | None = None


class Interruptions(Part):
    """What says whether the caller may interrupt the assistant."""

    enable: bool = True


class Participant(Part):
    """A call that takes part in a conversation. id: its call_control_id."""

    id: str
    role: Literal["user"]
    name: str | None = None
    on_hangup: Literal["continue_conversation", "end_conversation"] = "continue_conversation"


class AssistantTranscription(Part):
    """An assistant transcription that says how the assistant understands speech."""

    language: str = "auto"
    model: Literal[
        "deepgram/flux",
        "flux",
        "deepgram/nova-3",
        "deepgram/nova-2",
        "speechmatics/standard",
        "speechmatics/enhanced",
        "assemblyai/universal-streaming",
        "xai/grok-stt",
        "soniox/stt-rt-v4",
        "nvidia/parakeet-v3",
        "azure/fast",
        "azure/realtime",
        "google/latest_long",
        "distil-whisper/distil-large-v2",
        "openai/whisper-large-v3-turbo",
    ] = "distil-whisper/distil-large-v2"
