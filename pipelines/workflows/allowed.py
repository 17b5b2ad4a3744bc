"""What an untrusted bundle may name: the targets that configurations are made of, and no others.

A `_target_` is any callable of any installed package, so MONAI runs whatever a configuration
names. Here stands what those of plainfilm need. A function belongs here if, whatever arguments it
is given, it starts no program, evaluates no text, and writes nowhere but below `output_dir`.
"""

import re

_PIPELINES = {
    "datasets.anomaly": "AnomalyDataset",
    "datasets.opened": "OpenedDataset",
    "datasets.opened_pairs": "OpenedPairs",
    "evaluation.anomaly_point": "clahe_of clip_limit_of image_size_of",
    "evaluation.coarse": "CoarseMasks",
    "evaluation.operating_point": "classes_of positive_classes_of",
    "inference.anomaly": "DetectAnomalies",
    "inference.batch": "BatchPredictor run_predictor",
    "inference.classify": "Classify",
    "inference.dicom_results": "DicomResults",
    "inference.engine": "Engine",
    "inference.explain": "Explainer",
    "inference.exported": "ExportedEngine",
    "inference.folder": "RadiographFolder",
    "inference.guard": "GuardMark",
    "inference.reading": "ReaderPool",
    "inference.region": "RegionFolder RegionStep",
    "inference.region_finders": "NetworkFinder SegFormerFinder",
    "inference.segment": "Segment",
    "networks.augmented": "AugmentedInferer",
    "networks.autoencoder": "build_autoencoder",
    "networks.classifiers": "build_classifier",
    "networks.device": "pick_device",
    "networks.full_precision": "FullPrecisionInferer",
    "networks.heads": "outputs_for",
    "networks.pretrained": "load_pretrained",
    "networks.refiner": "BoneRefiner",
    "networks.sliding_window": "SlidingWindow",
    "networks.weights": "load_weights",
    "training.averaging": "build_average",
    "training.checkpoints": "Checkpoints EarlyStopping",
    "training.class_balance": "ClassBalance",
    "training.dataset": "RadiographDataset",
    "training.evaluator": "build_evaluator",
    "training.loading": "FilmLoader",
    "training.look": "LookWeights",
    "training.losses": "BinaryLoss CrossEntropy class_weights positive_weight",
    "training.metrics": "build_metric",
    "training.monitoring": "EpochLog TensorBoard",
    "training.optimizers": "build_optimizer",
    "training.ranks": "join_ranks",
    "training.reconstruction_losses": "ReconstructionLoss",
    "training.sampling": "EpochSampler",
    "training.schedule": "ReduceOnPlateau WarmupCosine",
    "training.segmentation_losses": "LayerLoss",
    "training.trackers": "Tracker",
    "training.trainer": "build_trainer",
    "transforms.chains": "efficientnet_augmentation efficientnet_preprocessing "
    "radiograph_augmentation radiograph_preprocessing recipe_augmentation",
    "transforms.photographs": "photograph_augmentation photograph_preprocessing",
    "transforms.reconstruction": "reconstruction_augmentation reconstruction_preprocessing",
    "transforms.refinement_chains": "refinement_augmentation refinement_preprocessing",
    "transforms.segmentation_chains": "segmentation_augmentation segmentation_preprocessing",
    "workflows.anomaly_outcome": "AnomalyOutcome",
    "workflows.bundle": "bundle_file bundle_root",
    "workflows.outcome": "Outcome",
    "workflows.refinement_outcome": "RefinementOutcome",
    "workflows.robustness": "Robustness",
    "workflows.run_folder": "RunRecord choose_run_folder",
    "workflows.segmentation_outcome": "SegmentationOutcome",
}
_OTHERS = {
    "monai.handlers": "ValidationHandler",
    "monai.inferers": "SimpleInferer",
    "monai.networks.nets": "AttentionUnet FlexibleUNet SegResNet UNet",
    "torch.optim": "Adam AdamW",
}

ALLOWED_TARGETS = frozenset(
    f"{module}.{name}"
    for modules, front in ((_PIPELINES, "pipelines."), (_OTHERS, ""))
    for module, names in ((front + each, listed) for each, listed in modules.items())
    for name in names.split()
)
"""Every `_target_` that an untrusted bundle may name, written out in full."""

ALLOWED_MODES = ("default", "callable")
"""Every `_mode_`; MONAI's `debug` starts a debugger."""

FETCHING_ARGUMENTS = frozenset({"pretrained"})
"""Arguments of MONAI's networks that fetch weights from elsewhere; they may be false alone."""

WRITING_ARGUMENTS = frozenset(
    ["cache_dir", "checkpoint_dir", "directory", "log_dir", "output_dir", "problems_file", "report"]
)
"""Arguments that say where something is written."""

OUTPUT_REFERENCES = frozenset({"@output_dir", "@checkpoint_dir", "@log_dir"})
"""What they may refer to; `checkpoint_dir` and `log_dir` at the top are among them themselves."""

_TRAINING_EXPRESSIONS = tuple(
    map(
        re.compile,
        (
            r"\$@network\.parameters\(\)",
            r"\$@average\.module",
            r"\$@data\.split\((@split|'(train|val|test)')\)",
            r"\$@(bundle_root|output_dir) \+ '(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+'",
            r"\$@bundle_root \+ '/\.\./\.\./data/[A-Za-z0-9_]+'",
            r"\$monai\.utils\.set_determinism\(seed=@seed\)",
            r"\$@(train|validate)::dataset\.read_all\(\)",
            r"\$@train::trainer\.run\(\)",
            r"\$@record\.start\(\)",
            r"\$@outcome\.(check_settings|check_evaluation|evaluate|finish)\(\)",
            r"\$@robustness\.(choose_point|measure)\(\)",
        ),
    )
)


def is_training_expression(text: str) -> bool:
    r"""Whether a `$` expression is one of the closed list that training configurations use.

    Examples:
        >>> is_training_expression("$@network.parameters()")
        True
        >>> is_training_expression("$@network.parameters().__class__")
        False
    """
    return any(pattern.fullmatch(text) for pattern in _TRAINING_EXPRESSIONS)
