"""Begin with weights that others have trained, and know of every layer where it came from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from pipelines.errors import Reason, RunError
from pipelines.files import sha256, write_json
from pipelines.networks.hub import PREFIX, HubFile
from pipelines.networks.naming import naming_of
from pipelines.networks.weights import read_state
from pipelines.training.ranks import ranks

_log = logging.getLogger(__name__)
_COLOURS = 3
_COUNTER = "num_batches_tracked"  # of a norm; files of old versions lack it, and 0 is no weight


@dataclass(slots=True)
class PretrainedReport:
    """Where the weights of a network came from.

    Attributes:
        source: Name of the file, or of the repository on the hub.
        sha256: Of the file.
        naming: Whose names the file has: `own`, or those of another library.
        loaded: Parameters taken as they are.
        adapted: Parameters that were changed to fit, and how.
        left_random: Parameters that the file has not, or not in this shape: the head, and what was
            allowed.
        unused: Names in the file that the network does not have.
    """

    source: str
    sha256: str
    naming: str
    loaded: list[str] = field(default_factory=list)
    adapted: dict[str, str] = field(default_factory=dict)
    left_random: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def load_pretrained(
    network: nn.Module,
    source: str | Path | None,
    *,
    report: str | Path | None = None,
    allow_random: Sequence[str] = (),
) -> nn.Module:
    """Load what a file of weights has for `network`, and refuse if anything but the head is left.

    Names of torchvision, timm, MONAI and EfficientNet-PyTorch are understood for the classifiers of
    `build_classifier`. A first convolution of three channels is summed for one, which is what a
    grey image in all three would give. The head is left random when its shape differs. Weights of
    EfficientNet that come from TensorFlow (`tf_…`, EfficientNet-PyTorch) were trained with other
    padding and norms, and need more training to fit in.

    Args:
        network: A network, changed in place.
        source: A local file of safetensors or a state dict, `hf://owner/name`, or
            `hf://owner/name/file`; None leaves the network as it is, and nothing is imported,
            read or downloaded.
        report: JSON to write the `PretrainedReport` to; None writes none. It is logged in short.
        allow_random: Layers that may stay random beside the head, by name; what is inside them too.

    Returns:
        The same network.

    Raises:
        RunError: If there is no such file (WEIGHTS_MISSING), or it leaves a layer random
            (WEIGHTS_MISMATCH).
        ConfigurationError: If a name of the hub has another form.
    """
    if source is None:
        return network
    named, path = _find(str(source))
    found = PretrainedReport(named, sha256(path), naming="own")
    state = _merged(network, read_state(path), found)
    _refuse_random(network, found, allow_random)
    network.load_state_dict(state)
    _log.info(
        "pretrained weights of %s (names: %s): %d loaded, %d adapted, %d left random, %d unused",
        *(found.source, found.naming),
        *map(len, (found.loaded, found.adapted, found.left_random, found.unused)),
    )
    for name, change in found.adapted.items():
        _log.info("adapted %s: %s", name, change)
    if found.left_random:
        _log.warning("left random: %s", ", ".join(found.left_random))
    if report is not None and ranks().is_main:
        write_json(Path(report), asdict(found))
    return network


def _find(source: str) -> tuple[str, Path]:
    # What to call the source, and its file on this machine.
    if source.startswith(PREFIX):
        return source, HubFile.parse(source).fetch()
    path = Path(source)
    if not path.is_file():
        raise RunError(
            Reason.WEIGHTS_MISSING,
            f"expected pretrained weights in {path.name}, found no such file; name a file or "
            "hf://owner/name with --set pretrained=SOURCE",
        )
    return path.name, path


def _merged(
    network: nn.Module, given: Mapping[str, torch.Tensor], report: PretrainedReport
) -> dict[str, torch.Tensor]:
    """Return the network's state with what fits put in, and note what became of each name."""
    naming, state = naming_of(network), dict(network.state_dict())
    report.naming, renamed = naming.best(state, given)
    report.unused = sorted(set(given).difference(renamed.values()))
    first = next((name for name, value in state.items() if value.dim() > 1), None)
    for name, value in state.items():
        fitting, change = _fit(given.get(renamed[name]), value.shape, first=name == first)
        if fitting is not None:
            state[name] = fitting
            report.loaded.append(name)
        if change:
            report.adapted[name] = change
        if fitting is None and not name.endswith(_COUNTER):
            report.left_random.append(name)
    report.loaded = [name for name in report.loaded if name not in report.adapted]
    if any(map(naming.is_head, report.left_random)):  # half a head is worth nothing
        head = [name for name in report.loaded if naming.is_head(name)]
        report.loaded = [name for name in report.loaded if name not in head]
        report.left_random += head
        own = network.state_dict()
        state.update({name: own[name] for name in head})
    return state


def _fit(
    given: torch.Tensor | None, shape: torch.Size, *, first: bool
) -> tuple[torch.Tensor | None, str]:
    """Return a tensor of the shape, or None if there is none, and what was done to it."""
    if given is None or given.shape == shape:
        return given, ""
    if first and given.dim() == len(shape) and given.shape[1] == _COLOURS and shape[1] == 1:
        summed = given.float().sum(1, keepdim=True)
        if summed.shape == shape:
            return summed, "summed over three colours for one channel"
    if given.shape == (*shape, 1, 1):
        return given.flatten(1), "convolution of one pixel taken as a linear layer"
    return None, ""


def _refuse_random(
    network: nn.Module, found: PretrainedReport, allow_random: Sequence[str]
) -> None:
    naming = naming_of(network)
    allowed = tuple(f"{name}." for name in allow_random)
    strange = [
        name
        for name in found.left_random
        if not naming.is_head(name) and not f"{name}.".startswith(allowed)
    ]
    if strange:
        raise RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected weights for every layer of {type(network).__name__} but its head in "
            f"{found.source}, got none that fit for {len(strange)} of "
            f"{len(network.state_dict())}, such as {strange[0]!r}; use weights of this network, or "
            "name the layers that may stay random in allow_random",
        )
