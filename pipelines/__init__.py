"""plainfilm: MONAI bundles and pipelines for plain films."""

from pipelines.refusal_text import end_bundle_runs_plainly

__version__ = "0.1.0"

# Here, as MONAI's command calls nothing of ours before the first component, whichever that is.
end_bundle_runs_plainly()
