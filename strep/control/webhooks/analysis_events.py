"""Type what the platform finds out about a call: machines, conversations, insights.

Fields are documented by the platform under the same names.
"""

from __future__ import annotations

from dataclasses import dataclass

from strep.control.webhooks.event import WebhookEvent
from strep.control.webhooks.values import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMachineDetectionEnded(WebhookEvent):
    """Who answered.

    result: "human", "machine" or "not_sure".
    """

    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMachineGreetingEnded(WebhookEvent):
    """The end of a machine's greeting.

    result: "beep_detected", "ended" or "not_sure".
    """

    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMachinePremiumDetectionEnded(WebhookEvent):
    """Who answered, as the premium detection has it.

    result: "human_residence", "human_business", "machine", "silence", "fax_detected" or "not_sure".
    """

    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMachinePremiumGreetingEnded(WebhookEvent):
    """The end of a machine's greeting, as the premium detection has it.

    result: "beep_detected" or "no_beep_detected".
    """

    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAiGatherEnded(WebhookEvent):
    """What an AI gather has found out.

    result: as the command's `parameters` describe it. status: "valid" or "invalid".
    """

    message_history: tuple[Document, ...] = ()
    result: Document | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAiGatherPartialResults(WebhookEvent):
    """What an AI gather has found out so far."""

    message_history: tuple[Document, ...] = ()
    partial_results: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAiGatherMessageHistoryUpdated(WebhookEvent):
    """What was said in an AI gather so far."""

    message_history: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallConversationEnded(WebhookEvent):
    """A conversation with an AI assistant that has ended.

    calling_party_type: "pstn" or "sip".
    """

    assistant_id: str | None = None
    conversation_id: str | None = None
    calling_party_type: str | None = None
    duration_sec: int | None = None
    reason: str | None = None
    llm_model: str | None = None
    stt_model: str | None = None
    tts_provider: str | None = None
    tts_model_id: str | None = None
    tts_voice_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallConversationInsightsGenerated(WebhookEvent):
    """What was concluded from a conversation.

    results: each with insight_id and result.
    """

    insight_group_id: str | None = None
    calling_party_type: str | None = None
    results: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDeepfakeDetectionResult(WebhookEvent):
    """Whether a voice was made by a machine.

    result: "real", "fake" or "silence_timeout". score: from 0 (real) to 1 (fake). consistency: 0 to 100.
    """

    result: str | None = None
    score: float | None = None
    consistency: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDeepfakeDetectionError(WebhookEvent):
    """A detection that failed."""

    error_message: str | None = None
