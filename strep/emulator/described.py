"""List what each command takes, as the API's description has it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from strep.emulator.parameters import (
    Array,
    Base64,
    Choice,
    Destination,
    Flag,
    Loop,
    Number,
    Object,
    Parameters,
    Rate,
    Rule,
    Text,
)

Rules = Mapping[str, Rule]


def _each(rule: Rule, names: str) -> Rules:
    return dict.fromkeys(names.split(), rule)


#: Every command has these.
_ALL: Rules = {"client_state": Base64(), "command_id": Text()}
_TRACK = Choice("inbound_track", "outbound_track", "both_tracks")
_LEGS = Choice("none", "both", "self", "opposite")
_METHOD = Choice("POST", "GET")
_RECORD: Rules = {
    "record": Choice("record-from-answer"),
    "record_channels": Choice("single", "dual"),
    "record_custom_file_name": Text(1, 40),
    "record_format": Choice("wav", "mp3"),
    "record_max_length": Number(0, 43200),
    "record_timeout_secs": Number(),
    "record_track": Choice("both", "inbound", "outbound"),
    "record_trim": Choice("trim-silence"),
}
_HEADERS: Rules = {
    "custom_headers": Array(Object("name", "value")),
    "sip_headers": Array(Object("name", "value")),
}
_CODECS = ("PCMU", "PCMA", "G722", "OPUS", "AMR-WB", "L16")
_STREAM: Rules = {
    "stream_bidirectional_codec": Choice(*_CODECS),
    "stream_bidirectional_mode": Choice("mp3", "rtp"),
    "stream_bidirectional_target_legs": Choice("both", "self", "opposite"),
    "stream_codec": Choice(*_CODECS, "default"),
    "stream_track": _TRACK,
    "stream_url": Text(),
}
_STREAM_MORE: Rules = {
    "dialogflow_config": Object(),
    "enable_dialogflow": Flag(),
    "stream_auth_token": Text(0, 4000),
    "stream_bidirectional_sampling_rate": Rate(),
}
_WEBHOOKS: Rules = {
    **_each(Object(), "webhook_retries_policies webhook_urls"),
    "webhook_url": Text(),
    "webhook_url_method": _METHOD,
    "webhook_urls_method": _METHOD,
}
_BOTH_ANSWER_AND_DIAL: Rules = {
    **_each(Flag(), "send_silence_when_idle transcription"),
    **_each(Object(), "sound_modifications transcription_config"),
    "assistant": Object("id"),
    "billing_group_id": Text(),
    "conversation_relay_config": Object("url"),
    "deepfake_detection": Object("enabled"),
}
#: Of a leg that the platform dials, by dial or by transfer.
_NEW_LEG: Rules = {
    **_each(Text(), "audio_url from media_name park_after_unbridge preferred_codecs send_digits_on_answer"),
    **_each(Text(), "sip_auth_password sip_auth_username"),
    **_each(Object(), "answering_machine_detection_config sound_modifications"),
    "answering_machine_detection": Choice(
        "premium", "detect", "detect_beep", "detect_words", "greeting_end", "disabled"
    ),
    "from_display_name": Text(0, 128),
    "media_encryption": Choice("disabled", "SRTP", "DTLS"),
    "privacy": Choice("id", "none"),
    "sip_region": Choice("US", "Europe", "Canada", "Australia", "Middle East"),
    "sip_transport_protocol": Choice("UDP", "TCP", "TLS"),
    "time_limit_secs": Number(30, 14400),
    "timeout_secs": Number(5, 600),
}
_DIGITS: Rules = {
    **_each(Text(), "terminating_digit valid_digits"),
    **_each(Number(), "inter_digit_timeout_millis timeout_millis"),
    "maximum_digits": Number(None, 128),
    "minimum_digits": Number(1),
}
_SPEECH: Rules = {
    **_each(Text(), "language voice"),
    "payload": Text(0, 3000),
    "payload_type": Choice("text", "ssml"),
    "service_level": Choice("basic", "premium"),
    "voice_settings": Object("type"),
}
_ASSISTANT: Rules = {
    **_each(Text(), "greeting voice"),
    **_each(Object(), "interruption_settings transcription"),
    "assistant": Object("id"),
    "message_history": Array(Object("role")),
    "send_message_history_updates": Flag(),
    "voice_settings": Object("type"),
}
_ENGINES = ("Google", "Telnyx", "Deepgram", "Azure", "xAI", "AssemblyAI", "Speechmatics", "Soniox")
_INTERRUPTIBLE = Choice("none", "any", "speech", "dtmf")
# fmt: off
_RING_TONES = (
    "at", "au", "be", "bg", "br", "ch", "cl", "cn", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hu", "il", "in",
    "it", "jp", "lt", "mx", "my", "nl", "no", "nz", "ph", "pl", "pt", "ru", "se", "sg", "th", "tw", "uk", "us-old",
    "us", "ve", "za",
)
_SUPPRESSION_ENGINES = (
    "Denoiser", "DeepFilterNet", "Krisp", "AiCoustics", "aic_l_quail", "aic_l_rook", "aic_s_quail", "aic_s_rook",
    "quail_voice_focus_s", "quail_voice_focus_xs",
)
# fmt: on


def _takes(rules: Rules | None = None, *required: str, either: tuple[str, ...] = ()) -> Parameters:
    return Parameters(MappingProxyType({**(rules or {}), **_ALL}), required, either)


DIAL = _takes(
    {
        **_NEW_LEG,
        **_BOTH_ANSWER_AND_DIAL,
        **_RECORD,
        **_HEADERS,
        **_STREAM,
        **_STREAM_MORE,
        **_WEBHOOKS,
        **_each(Text(), "connection_id link_to supervise_call_control_id"),
        **_each(Flag(), "bridge_intent bridge_on_answer prevent_double_bridge retry_on_timeout"),
        "stream_establish_before_call_originate": Flag(),
        "conference_config": Object(),
        "supervisor_role": Choice("barge", "whisper", "monitor"),
        "to": Destination(many=True),
    },
    "connection_id",
    "to",
    "from",
)

ACTIONS: Mapping[str, Parameters] = MappingProxyType(
    {
        "ai_assistant_add_messages": _takes({"messages": Array(Object("role"))}),
        "ai_assistant_join": _takes(
            {"conversation_id": Text(), "participant": Object("id", "role")}, "conversation_id", "participant"
        ),
        "ai_assistant_start": _takes({**_ASSISTANT, "participants": Array(Object("id", "role"))}),
        "ai_assistant_stop": _takes(),
        "answer": _takes(
            {**_BOTH_ANSWER_AND_DIAL, **_RECORD, **_HEADERS, **_STREAM, **_WEBHOOKS, "preferred_codecs": Text()}
        ),
        "bridge": _takes(
            {
                **_RECORD,
                **_each(Text(), "call_control_id park_after_unbridge queue video_room_context video_room_id"),
                **_each(Flag(), "hold_after_unbridge play_ringtone prevent_double_bridge"),
                "mute_dtmf": _LEGS,
                "ringtone": Choice(*_RING_TONES),
            },
            # The description requires call_control_id, and says that it cannot be used together with queue.
            either=("call_control_id", "queue", "video_room_id"),
        ),
        "client_state_update": _takes({}, "client_state"),
        "conversation_relay_start": _takes(
            {
                **_each(Text(), "conversation_relay_url greeting language provider tts_provider url voice"),
                **_each(Flag(), "conversation_relay_dtmf_detection dtmf_detection"),
                **_each(Object(), "assistant custom_parameters interruption_settings structured_provider"),
                **_each(Object(), "transcription transcription_engine_config"),
                "conversation_relay_settings": Object("url"),
                "interruptible": _INTERRUPTIBLE,
                "interruptible_greeting": _INTERRUPTIBLE,
                "languages": Array(Object()),
                "transcription_engine": Choice(*_ENGINES, "A", "B"),
                "voice_settings": Object("type"),
            },
            either=("url", "conversation_relay_url", "conversation_relay_settings"),
        ),
        "conversation_relay_stop": _takes(),
        "enqueue": _takes(
            {**_each(Number(), "max_size max_wait_time_secs"), "keep_after_hangup": Flag(), "queue_name": Text()},
            "queue_name",
        ),
        # What fork_start takes besides depends on what else is given: strep.emulator.actions.forking says how.
        "fork_start": _takes(
            {"target": Text(), "rx": Text(), "tx": Text(), "stream_type": Choice("raw", "decrypted")},
        ),
        "fork_stop": _takes({"stream_type": Choice("raw", "decrypted")}),
        "gather": _takes({**_DIGITS, "gather_id": Text(1, 40), "initial_timeout_millis": Number()}),
        "gather_stop": _takes(),
        "gather_using_ai": _takes(
            {
                **_ASSISTANT,
                "gather_ended_speech": Text(0, 3000),
                "language": Text(),
                "parameters": Object(),
                "send_partial_results": Flag(),
                "user_response_timeout_ms": Number(),
            },
            "parameters",
        ),
        "gather_using_audio": _takes(
            {
                **_DIGITS,
                **_each(Text(), "audio_url invalid_audio_url invalid_media_name media_name"),
                "maximum_tries": Number(),
            },
            either=("audio_url", "media_name"),
        ),
        "gather_using_speak": _takes(
            {**_DIGITS, **_SPEECH, "invalid_payload": Text(), "maximum_tries": Number()}, "voice", "payload"
        ),
        "hangup": _takes({"custom_headers": Array(Object("name", "value"))}),
        "leave_queue": _takes(),
        "playback_start": _takes(
            {
                **_each(Text(), "audio_url media_name playback_content stop"),
                **_each(Flag(), "cache_audio overlay"),
                "audio_type": Choice("mp3", "wav"),
                "loop": Loop(),
                "target_legs": Choice("self", "opposite", "both"),
            },
            either=("audio_url", "media_name", "playback_content"),
        ),
        "playback_stop": _takes({"overlay": Flag(), "stop": Text()}),
        "record_pause": _takes({"recording_id": Text()}),
        "record_resume": _takes({"recording_id": Text()}),
        "record_start": _takes(
            {
                **_each(
                    Flag(), "play_beep transcription transcription_profanity_filter transcription_speaker_diarization"
                ),
                **_each(Number(), "timeout_secs transcription_max_speaker_count transcription_min_speaker_count"),
                "channels": Choice("single", "dual"),
                "custom_file_name": Text(1, 40),
                "format": Choice("wav", "mp3"),
                "max_length": Number(0, 14400),
                "recording_track": Choice("both", "inbound", "outbound"),
                "transcription_engine": Choice("A", "B", "deepgram/nova-3"),
                "transcription_language": Text(),
                "trim": Choice("trim-silence"),
            },
            "format",
            "channels",
        ),
        "record_stop": _takes({"recording_id": Text()}),
        "refer": _takes(
            {**_HEADERS, "sip_address": Text(), "sip_auth_password": Text(), "sip_auth_username": Text()},
            "sip_address",
        ),
        "reject": _takes({"cause": Choice("CALL_REJECTED", "USER_BUSY")}, "cause"),
        "send_dtmf": _takes({"digits": Text(), "duration_millis": Number(100, 500)}, "digits"),
        "send_sip_info": _takes({"body": Text(), "content_type": Text()}, "content_type", "body"),
        "siprec_start": _takes(
            {
                **_each(Flag(), "include_metadata_custom_headers secure"),
                "connector_name": Text(),
                "session_timeout_secs": Number(),
                "sip_transport": Choice("udp", "tcp", "tls"),
                "siprec_track": _TRACK,
            }
        ),
        "siprec_stop": _takes(),
        "speak": _takes(
            {**_SPEECH, "loop": Loop(), "stop": Text(), "target_legs": Choice("self", "opposite", "both")},
            "payload",
            "voice",
        ),
        "streaming_start": _takes({**_STREAM, **_STREAM_MORE, "custom_parameters": Array(Object())}),
        "streaming_stop": _takes({"stream_id": Text()}),
        "suppression_start": _takes(
            {
                "direction": Choice("inbound", "outbound", "both"),
                "noise_suppression_engine": Choice(*_SUPPRESSION_ENGINES),
                "noise_suppression_engine_config": Object(),
            }
        ),
        "suppression_stop": _takes(),
        "switch_supervisor_role": _takes({"role": Choice("barge", "whisper", "monitor")}, "role"),
        "transcription_start": _takes(
            {
                "transcription_engine": Choice(*_ENGINES, "Parakeet", "A", "B"),
                "transcription_engine_config": Object(),
                "transcription_tracks": Text(),
            }
        ),
        "transcription_stop": _takes(),
        "transfer": _takes(
            {
                **_NEW_LEG,
                **_RECORD,
                **_HEADERS,
                **_WEBHOOKS,
                "early_media": Flag(),
                "mute_dtmf": _LEGS,
                "target_leg_client_state": Base64(),
                "to": Destination(),
            },
            "to",
        ),
    }
)
