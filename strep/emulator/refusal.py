"""Give the platform's documented errors, as its API description has them."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):  # noqa: N818 -- it is an answer of the API, not a fault
    """The answer to a command that the platform will not carry out. headers: of the answer, besides the usual."""

    def __init__(
        self,
        http_status: int,
        code: str,
        title: str,
        detail: str,
        pointer: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(title)
        self.http_status = http_status
        self.code, self.title, self.detail, self.pointer = code, title, detail, pointer
        self.headers = dict(headers or {})

    def document(self) -> dict[str, object]:
        """Give the body of the answer."""
        source = {"source": {"pointer": self.pointer}} if self.pointer else {}
        return {"errors": [{"code": self.code, "title": self.title, "detail": self.detail, **source}]}


# The request itself


def authentication_failed() -> Refusal:
    """Refuse a request without the right API key."""
    detail = "The required authentication headers were either invalid or not included in the request."
    return Refusal(401, "10009", "Authentication failed", detail)


def resource_not_found() -> Refusal:
    """Refuse a path that means nothing."""
    return Refusal(404, "10005", "Resource not found", "The requested resource or URL could not be found.")


def method_not_allowed() -> Refusal:
    """Refuse a method that the path does not have. The platform does not document its code."""
    return Refusal(405, "10005", "Method not allowed", "The requested resource does not support this method.")


def bad_request(detail: str) -> Refusal:
    """Refuse a body that is not a JSON object."""
    return Refusal(400, "10015", "Bad Request", detail)


def undecodable(position: int) -> Refusal:
    """Refuse a body that is not UTF-8."""
    return Refusal(400, "10028", "Character encoding error", f"Error decoding request body at position {position}")


# Its parameters


def missing_parameter(name: str) -> Refusal:
    """Refuse a command without a parameter that it needs."""
    detail = f"The '{name}' parameter is required and cannot be blank."
    return Refusal(422, "10004", "Missing required parameter", detail, f"/{name}")


def invalid_value(name: str, detail: str) -> Refusal:
    """Refuse a parameter that cannot be read."""
    return Refusal(422, "10015", f"Invalid value for {name}", detail, f"/{name}")


def not_a_phone_number(name: str) -> Refusal:
    """Refuse a number that is not in E.164."""
    detail = f"The '{name}' parameter must be in E164 format."
    return Refusal(422, "10016", "Phone number must be in +E164 format", detail, f"/{name}")


def not_enumerated(name: str, allowed: tuple[str, ...]) -> Refusal:
    """Refuse a parameter that is none of the words allowed."""
    detail = f"The value must be one of: {', '.join(allowed)}."
    return Refusal(422, "10032", "Invalid enumerated value", detail, f"/{name}")


def out_of_range(name: str, low: int | None, high: int | None) -> Refusal:
    """Refuse a number that is too small or too large."""
    bounds = f"{low} to {high}" if high is not None else f"{low} and above"
    detail = f"The value is outside of allowed range {bounds}"
    return Refusal(422, "10033", "Value outside of range", detail, f"/{name}")


def unknown_connection() -> Refusal:
    """Refuse a connection that the account does not have."""
    detail = (
        "The requested connection_id (Call Control App ID) is either invalid or does not exist. "
        "Only Call Control Apps with valid webhook URL are accepted."
    )
    title = "Invalid value for connection_id (Call Control App ID)"
    return Refusal(422, "10015", title, detail, "/connection_id")


def srtp_refused() -> Refusal:
    """Refuse encryption towards the telephone network."""
    detail = "SRTP media encryption is not supported for PSTN calls."
    return Refusal(422, "10011", "Media encryption not supported for PSTN calls", detail, "/media_encryption")


# The call


def invalid_call_control_id() -> Refusal:
    """Refuse a command for a call that never was."""
    detail = "The call_control_id provided was not valid."
    return Refusal(422, "90015", "Invalid Call Control ID", detail, "/call_control_id")


def call_ended() -> Refusal:
    """Refuse a command for a call that is over."""
    detail = "This call is no longer active and can't receive commands."
    return Refusal(422, "90018", "Call has already ended", detail)


def not_answered() -> Refusal:
    """Refuse a command for a call that still rings."""
    detail = "This call can't receive this command because it has not been answered yet."
    return Refusal(422, "90034", "Call not answered yet", detail)


def no_audio_yet() -> Refusal:
    """Refuse to record a call that still rings."""
    detail = "Call recording cannot be started until audio has commenced on the call."
    return Refusal(422, "90020", "Call recording triggered before audio started", detail)


def not_forked() -> Refusal:
    """Refuse to stop a fork that is not there."""
    detail = "Can't stop forking, because the call isn't currently forked."
    return Refusal(422, "90031", "Call is not currently forked", detail)


def streaming_in_use() -> Refusal:
    """Refuse a fork while media streaming is used."""
    return Refusal(
        422, "90045", "Media Streaming is used", "This command can't be issued when media streaming is used."
    )


def transcription_in_progress() -> Refusal:
    """Refuse a second transcription."""
    detail = "Call transcription can not be started more than once."
    return Refusal(422, "90054", "Call transcription is already in progress", detail)


def assistant_in_progress() -> Refusal:
    """Refuse a second assistant."""
    return Refusal(
        422, "90061", "AI Assistant is already in progress", "AI Assistant cannot be started more than once."
    )


def queue_full(name: str) -> Refusal:
    """Refuse one more call in a queue."""
    return Refusal(422, "90036", "Queue full", f"The '{name}' queue is full and can't accept more calls.")


def already_in_queue() -> Refusal:
    """Refuse to enqueue a call twice."""
    return Refusal(422, "90038", "Call already in queue", "Call can't be added to a queue it's already in.")


def unable(detail: str) -> Refusal:
    """Refuse what cannot be done as things are, where the platform documents no code of its own for it."""
    return Refusal(422, "90033", "Unable to execute command", detail)


def already_forked() -> Refusal:
    """Refuse a second fork. The platform does not document what it does; a program that does this has lost count."""
    return unable("The call is already being forked.")


# The platform


def rate_limited(reset_s: int) -> Refusal:
    """Refuse one request too many. Under 422 the same code means that SRTP is refused."""
    headers = {"x-ratelimit-limit": "200", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset_s)}
    return Refusal(429, "10011", "Too many requests", "You have exceeded the maximum number of requests.", "", headers)


def server_error() -> Refusal:
    """Fail. The description has this answer, but no code for it."""
    return Refusal(500, "10007", "Unexpected error", "An unexpected error occurred.")


def gateway_timeout() -> Refusal:
    """Fail after a long wait."""
    return Refusal(504, "10007", "Gateway timeout", "The request was not answered in time.")


def no_room() -> Refusal:
    """Refuse to dial when there are as many calls as can be. The description has this answer, but no code for it."""
    return Refusal(503, "10007", "Service unavailable", "No more calls can be carried at the moment.")
