"""plainfilm: MONAI bundles and pipelines for plain films."""

__version__ = "0.1.0"
