"""What rules look at in a film."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traits:
    """What a header says of the kind of a film, and who sent it; nothing of whose film it is.

    Attributes:
        modality: Modality (0008,0060).
        body_part: BodyPartExamined (0018,0015).
        view_position: ViewPosition (0018,5101).
        calling_ae: AE title of the sender; empty where it came by HTTP.
    """

    modality: str = ""
    body_part: str = ""
    view_position: str = ""
    calling_ae: str = ""
