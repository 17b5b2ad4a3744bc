"""Hyperparameters name the bundle, its overlays, and values of its configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.deploy.sagemaker.contract import plain_key
from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import nearest
from pipelines.workflows.bundle import Bundle, find_bundle
from pipelines.workflows.check import check_bundle
from pipelines.workflows.problem import first_problems
from pipelines.workflows.required import Kind

BUNDLE = "bundle"
OVERLAYS = "overlays"
TAKEN = ("dataset_dir", "output_dir", "bundle_root")
"""Keys whose values are those of the container."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be trained.

    Attributes:
        bundle: The bundle.
        overlays: Names of configurations merged after its `train.json`.
        overrides: Values by key, set last; keys in MONAI's way.
    """

    bundle: Bundle
    overlays: tuple[str, ...] = ()
    overrides: Mapping[str, object] = field(default_factory=dict)


def read_hyperparameters(given: Mapping[str, object]) -> Wanted:
    """Tell what shall be trained, and check it without importing anything heavy.

    Args:
        given: Values by name: `bundle`, `overlays` (names by commas, or a list) and keys of the
            configuration as `--set` has them.

    Returns:
        What shall be trained.

    Raises:
        ConfigurationError: If the bundle is not named or unknown, or the static check finds
            something; the message has the nearest right names.
    """
    if not isinstance(given.get(BUNDLE), str) or not given[BUNDLE]:
        close = nearest(BUNDLE, given)
        meant = f"; is '{close}' meant?" if close else "; name what shall be trained"
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected the hyperparameter '{BUNDLE}'{meant}"
        )
    bundle = find_bundle(str(given[BUNDLE]))
    overlays = _names(given.get(OVERLAYS))
    overrides = {
        plain_key(key): value for key, value in given.items() if key not in {BUNDLE, OVERLAYS}
    }
    for key in TAKEN:
        if key in overrides:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected no hyperparameter '{key}': it is the container's own; leave it out",
            )
    problems = check_bundle(bundle, base=Kind.TRAIN, overlays=overlays, overrides=overrides)
    if problems:
        shown = first_problems([each.within(bundle.name) for each in problems])
        raise ConfigurationError(Reason.CONFIGURATION, shown)
    return Wanted(bundle, overlays, overrides)


def _names(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    listed = given if isinstance(given, list) else str(given).split(",")
    return tuple(name for each in listed if (name := str(each).strip()))
