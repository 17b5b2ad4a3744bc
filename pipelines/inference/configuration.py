"""The inference configuration of a bundle, read and overridden the way MONAI does it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.errors import ConfigurationError, Reason, refusal_behind
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.check import check_bundle
from pipelines.workflows.manifest import verify_manifest
from pipelines.workflows.required import Kind


class InferenceConfiguration:
    """A bundle's `inference.json`, as `python -m monai.bundle run` would see it.

    Args:
        bundle: The bundle; it is its own `bundle_root`.
        overrides: Values by id, such as `engine::batch_size`: ids that exist, and arguments of
            components that have a default.
        overlays: Names or paths of configurations merged after `inference.json`.

    Raises:
        ConfigurationError: If the bundle is not what its manifest says (MANIFEST_MISMATCH), or the
            static check finds a mistake in the file or the overrides.
    """

    def __init__(
        self, bundle: Bundle, overrides: Mapping[str, object], *, overlays: Sequence[str] = ()
    ) -> None:
        verify_manifest(bundle)
        problems = check_bundle(bundle, base=Kind.INFERENCE, overlays=overlays, overrides=overrides)
        if problems:
            raise ConfigurationError(Reason.CONFIGURATION, "\n".join(map(str, problems)))
        # MONAI takes seconds to import, and not every user of this package needs it.
        from monai.bundle import ConfigParser

        self._parser = ConfigParser()
        files = [bundle.inference, *map(bundle.overlay, overlays)]
        self._parser.read_config([str(file) for file in files])
        self._parser.read_meta(str(bundle.metadata))
        self._parser["bundle_root"] = str(bundle.root)
        self._parser.update(dict(overrides))

    def build(self, key: str) -> Any:
        """Instantiate or evaluate what stands under an id.

        Args:
            key: Such as `evaluator` or `run`.

        Returns:
            The object; for a list, the list of objects.

        Raises:
            PlainfilmError: What an object of ours raised, without MONAI's wrapping.
            Exception: Anything else, as MONAI raises it.
        """
        try:
            return self._parser.get_parsed_content(key)
        except Exception as error:
            refusal = refusal_behind(error)
            if refusal is None:
                raise
            raise refusal from refusal.__cause__
