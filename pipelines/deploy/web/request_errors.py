"""Why a request got no answer: a status, a reason code and a sentence, and nothing it held."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus

from starlette.responses import JSONResponse

from pipelines.errors import InputError, PlainfilmError, Reason


class RequestReason(StrEnum):
    """Reasons that lie in the request and not in a film; the value is what clients get."""

    BAD_REQUEST = "bad_request"
    BUSY = "busy"
    CROSS_ORIGIN = "cross_origin"
    HOST_NOT_ALLOWED = "host_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    NOT_FOUND = "not_found"
    TOO_SLOW_TO_SEND = "too_slow_to_send"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"


RETRY_AFTER_SECONDS = 2


class RequestError(Exception):
    """A request is refused.

    Args:
        status: HTTP status.
        reason: The reason code.
        message: The rule, what broke it, what to do; nothing of an uploaded file.
        headers: Sent beside it.
    """

    def __init__(
        self,
        status: HTTPStatus,
        reason: Reason | RequestReason,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.headers = headers

    def response(self) -> JSONResponse:
        """Write it as JSON: `reason` and `message`."""
        said = {"reason": self.reason.value, "message": str(self)}
        return JSONResponse(said, status_code=self.status, headers=self.headers)


class BusyError(RequestError):
    """There is no room for one more request.

    Args:
        got: Of what there is too much.
    """

    def __init__(self, got: str) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            RequestReason.BUSY,
            f"expected room for one more request, got {got}; send it again later",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )


class TooLargeError(RequestError):
    """A body is larger than it may be.

    Args:
        limit: Most bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            Reason.TOO_LARGE,
            f"expected at most {limit} bytes, got more; compress or downsample the image",
            headers={"Connection": "close"},
        )


class BadRequestError(RequestError):
    """A request breaks a rule of its form.

    Args:
        expected: The rule.
        got: What broke it; nothing of an uploaded file.
    """

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(
            HTTPStatus.BAD_REQUEST,
            RequestReason.BAD_REQUEST,
            f"expected {expected}, got {got}; see openapi.json",
        )


class MediaTypeError(RequestError):
    """A body is of a kind that is not taken.

    Args:
        wanted: What is taken.
    """

    def __init__(self, wanted: str) -> None:
        super().__init__(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            RequestReason.UNSUPPORTED_MEDIA_TYPE,
            f"expected {wanted}, got something else; say what is sent in the Content-Type",
            headers={"Connection": "close"},
        )


_STATUS = {
    Reason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.NOT_AN_IMAGE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Reason.UNSUPPORTED_FORMAT: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Reason.UNSUPPORTED_TRANSFER_SYNTAX: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Reason.UNKNOWN_NAME: HTTPStatus.NOT_FOUND,
    Reason.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def request_error(error: PlainfilmError) -> RequestError:
    """Say a refusal of ours over HTTP.

    Args:
        error: A film that cannot be read is the client's; anything else is ours, and its text,
            which may name files of this machine, stays here.

    Returns:
        The refusal with a status of 4xx, or 500.
    """
    if isinstance(error, InputError):
        status = _STATUS.get(error.reason, HTTPStatus.UNPROCESSABLE_ENTITY)
        return RequestError(status, error.reason, str(error))
    return internal()


def internal() -> RequestError:
    """Say that something of ours failed, and nothing else."""
    return RequestError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        Reason.INTERNAL,
        "expected an answer, got an error of the server; its log says which",
    )
