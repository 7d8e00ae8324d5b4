"""Give the platform's documented errors, as its API description has them."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 -- it is an answer of the API, not a fault
    """Is the answer to a command that the platform will not carry out."""

    def __init__(self, http_status: int, code: str, title: str, detail: str, pointer: str = "") -> None:
        super().__init__(title)
        self.http_status = http_status
        self.code, self.title, self.detail, self.pointer = code, title, detail, pointer

    def document(self) -> dict[str, object]:
        """Give the body of the answer."""
        source = {"source": {"pointer": self.pointer}} if self.pointer else {}
        return {"errors": [{"code": self.code, "title": self.title, "detail": self.detail, **source}]}


def authentication_failed() -> Refusal:
    """Refuse a request without the right API key."""
    detail = "The required authentication headers were either invalid or not included in the request."
    return Refusal(401, "10009", "Authentication failed", detail)


def resource_not_found() -> Refusal:
    """Refuse a path that means nothing."""
    return Refusal(404, "10005", "Resource not found", "The requested resource or URL could not be found.")


def bad_request(detail: str) -> Refusal:
    """Refuse a body that is not a JSON object."""
    return Refusal(400, "10015", "Bad Request", detail)


def missing_parameter(name: str) -> Refusal:
    """Refuse a command without a parameter that it needs."""
    detail = f"The '{name}' parameter is required and cannot be blank."
    return Refusal(422, "10004", "Missing required parameter", detail, f"/{name}")


def invalid_value(name: str, detail: str) -> Refusal:
    """Refuse a parameter that cannot be read."""
    return Refusal(422, "10015", f"Invalid value for {name}", detail, f"/{name}")


def not_enumerated(name: str, allowed: tuple[str, ...]) -> Refusal:
    """Refuse a parameter that is none of the words allowed."""
    detail = f"The value must be one of: {', '.join(allowed)}."
    return Refusal(422, "10032", "Invalid enumerated value", detail, f"/{name}")


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


def not_forked() -> Refusal:
    """Refuse to stop a fork that is not there."""
    detail = "Can't stop forking, because the call isn't currently forked."
    return Refusal(422, "90031", "Call is not currently forked", detail)


def already_forked() -> Refusal:
    """Refuse a second fork. The platform does not document what it does; a program that does this has lost count."""
    return Refusal(422, "90033", "Unable to execute command", "The call is already being forked.")


def streaming_in_use() -> Refusal:
    """Refuse a fork while media streaming is used."""
    return Refusal(
        422, "90045", "Media Streaming is used", "This command can't be issued when media streaming is used."
    )
