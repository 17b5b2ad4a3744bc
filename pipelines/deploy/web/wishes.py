"""What a client may ask beside a film, in the query or in the fields of a form."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.deploy.web.request_errors import BadRequestError
from pipelines.deploy.web.views import LONGEST_SIDE


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def with_fields(self, fields: Mapping[str, str]) -> Self:
        """Return this with the fields of a form, which count before the query.

        Raises:
            BadRequestError: If one is unknown or has a value that it cannot have.
        """
        try:
            return self.model_validate(self.model_dump(exclude_unset=True) | dict(fields))
        except ValidationError as error:
            raise BadRequestError(*broken(error.errors())) from None


class FilmWishes(_Asked):
    """What is wanted of a film for a viewer."""

    frame: Annotated[
        int, Field(ge=1, le=10_000, description="Frame of a multi-frame file, from 1.")
    ] = 1
    longest: Annotated[
        int,
        Field(ge=64, le=8192, description="Pixels of the longer side; larger films are shrunk."),
    ] = LONGEST_SIDE


class Wishes(_Asked):
    """What is wanted of an answer."""

    bundle: Annotated[
        str | None,
        Field(max_length=100, description="Which bundle answers; by default the first."),
    ] = None
    frame: Annotated[
        int, Field(ge=1, le=10_000, description="Frame of a multi-frame file, from 1.")
    ] = 1
    explain: Annotated[
        bool, Field(description="Send what lies over the film: heat map or outlines.")
    ] = False
    masks: Annotated[bool, Field(description="Send run lengths of what a segmentation found.")] = (
        False
    )


def broken(errors: object) -> tuple[str, str]:
    """Say which parameters break their rules.

    Args:
        errors: As pydantic lists them; values, which may quote what was sent, are left out.

    Returns:
        The rule, and what broke it.
    """
    found = errors if isinstance(errors, list | tuple) else []
    said = sorted({f"{each['loc'][-1]} ({each['type']})" for each in found})
    return "known parameters in their ranges", ", ".join(said)[:300]
