"""Several classifiers as one network: the mean of their calibrated probabilities.

The output is the log odds, or the logits, of that mean, so that what follows a network (operating
point, guard, tables) takes an ensemble for one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason

_TWO = 2


class Ensemble(nn.Module):
    """Average calibrated probabilities of networks that take the same films.

    Args:
        members: At least one, with one output (log odds) or two for two classes, else one a class.
        temperatures: Of each member's calibration.
        biases: Likewise; of three classes or more each is 0.
        inferer: How each member is called, such as an `AugmentedInferer`; None calls it.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        *,
        temperatures: Sequence[float],
        biases: Sequence[float],
        inferer: Callable[..., torch.Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.calibration = tuple(zip(temperatures, biases, strict=True))
        self.inferer = inferer

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        """Return log odds of class 1 of two, (batch, 1), or logits, (batch, classes).

        Args:
            films: (batch, channel, height, width).
        """
        scaled = [
            _scaled(self._ask(member, films), *calibration)
            for member, calibration in zip(self.members, self.calibration, strict=True)
        ]
        outputs = torch.stack(scaled)
        # In logarithms, so that a mean close to 0 or to 1 keeps its digits.
        if outputs.shape[-1] == 1:
            sure, unsure = (
                functional.logsigmoid(sign * outputs).logsumexp(dim=0) for sign in (1, -1)
            )
            return sure - unsure
        return functional.log_softmax(outputs, dim=-1).logsumexp(dim=0)

    def _ask(self, member: nn.Module, films: torch.Tensor) -> torch.Tensor:
        if self.inferer is None:
            answer: torch.Tensor = member(films)
            return answer
        return self.inferer(films, member)


def build_ensemble(description: str | Path) -> Ensemble:
    """Build the network that an `ensemble.json` describes, without its weights.

    Args:
        description: The file; the weights stand beside it in `model.pt`.

    Raises:
        ConfigurationError: If the file cannot be read, or is no such description.
    """
    from monai.bundle import ConfigParser

    try:
        content: Mapping[str, Any] = json.loads(Path(description).read_text(encoding="utf-8"))
        members = list(content["members"])
        temperatures = [float(each["temperature"]) for each in members]
        biases = [float(each["bias"]) for each in members]
        definitions = [dict(each["network_def"]) for each in members]
        inferer = dict(content["inferer"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the description of an ensemble, {Path(description).name} cannot be read as "
            "one; make it with `plainfilm ensemble`",
        ) from error
    parser = ConfigParser({"members": definitions, "inferer": inferer})
    return Ensemble(
        parser.get_parsed_content("members"),
        temperatures=temperatures,
        biases=biases,
        inferer=parser.get_parsed_content("inferer"),
    )


def _scaled(outputs: torch.Tensor, temperature: float, bias: float) -> torch.Tensor:
    outputs = outputs.float()
    if outputs.shape[-1] == _TWO:
        outputs = outputs[:, 1:] - outputs[:, :1]
    return outputs / temperature + bias
