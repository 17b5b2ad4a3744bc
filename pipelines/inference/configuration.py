"""The inference configuration of a bundle, read and overridden the way MONAI does it."""

from collections.abc import Mapping
from typing import Any

from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.reading import root_refusal
from pipelines.nearest import did_you_mean
from pipelines.workflows.bundle import Bundle


class InferenceConfiguration:
    """A bundle's `inference.json`, as `python -m monai.bundle run` would see it.

    Args:
        bundle: The bundle; it is its own `bundle_root`.
        overrides: Values by id, such as `engine::batch_size`; only ids that exist.
    """

    def __init__(self, bundle: Bundle, overrides: Mapping[str, object]) -> None:
        # MONAI takes seconds to import, and not every user of this package needs it.
        from monai.bundle import ConfigParser

        self._parser = ConfigParser()
        self._parser.read_config(str(bundle.inference))
        self._parser.read_meta(str(bundle.metadata))
        self._parser["bundle_root"] = str(bundle.root)
        for key, value in overrides.items():
            self._set(key, value)

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
            refusal = root_refusal(error)
            if refusal is None:
                raise
            raise refusal from refusal.__cause__

    def _set(self, key: str, value: object) -> None:
        if key not in self._parser:
            config = self._parser.get()
            known = [
                *config,
                *(f"{a}::{b}" for a, v in config.items() if isinstance(v, dict) for b in v),
            ]
            raise ConfigurationError(
                Reason.UNKNOWN_NAME,
                f"no key '{key}' in inference.json{did_you_mean(key.replace('#', '::'), known)}",
            )
        self._parser[key] = value
