"""`predict --executor ray`: what `predict` does, with the films predicted on a Ray cluster."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.deploy.ray_batch.blocks import Recipe
from pipelines.deploy.ray_batch.cluster import require_ray, require_reachable
from pipelines.deploy.ray_batch.rounds import RayRounds
from pipelines.inference.batch import predict_folder
from pipelines.workflows.bundle import Bundle


def predict_on_ray(
    bundle: Bundle,
    source: str | Path,
    output: Path,
    *,
    given: str,
    overrides: Mapping[str, object],
    overlays: Sequence[str] = (),
    address: str | None = None,
    **options: Any,
) -> Mapping[str, Any]:
    """Run a bundle's inference configuration on a folder, on the nodes of a Ray cluster.

    Everything but the reading and predicting of films happens in this process: listing, the
    journal, the tables, the report. So results are those of `predict_folder`, and a run that was
    begun by one goes on with the other.

    Args:
        bundle: The bundle.
        source: As of `predict_folder`; every node sees local films under the same path.
        output: As of `predict_folder`; it is written by this process alone.
        given: The bundle as every node finds it: its name, its path, or an exported file.
        overrides: As of `predict_folder`.
        overlays: As of `predict_folder`.
        address: Of a cluster that is there; None starts one on this machine.
        **options: `restart` and `shard`, as of `predict_folder`.

    Returns:
        What stands in `summary.json`.

    Raises:
        PlainfilmError: As `predict_folder`, or if Ray is not installed or the cluster not there.
    """
    require_ray()
    require_reachable(address)
    recipe = Recipe(given, Path.cwd(), overrides, tuple(overlays))
    return predict_folder(
        bundle,
        source,
        output,
        overrides=overrides,
        overlays=overlays,
        elsewhere=lambda evaluator: RayRounds(evaluator, recipe, address),
        **options,
    )
