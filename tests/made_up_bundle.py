"""A small bundle without a mistake, for tests that plant one."""

import json
from pathlib import Path

TRAIN = {
    "_desc_": "made up",
    "bundle_root": {
        "_target_": "pipelines.workflows.bundle.bundle_root",
        "name": "made_up",
    },
    "dataset_dir": "data",
    "output_dir": "$@bundle_root + '/runs'",
    "device": "$torch.device('cpu')",
    "seed": 0,
    "val_interval": 1,
    "network_def": {
        "_target_": "monai.networks.nets.DenseNet121",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 1,
    },
    "network": "$@network_def.to(@device)",
    "loss": {"_target_": "torch.nn.BCEWithLogitsLoss"},
    "optimizer": {"_target_": "torch.optim.AdamW", "params": "$@network.parameters()", "lr": 0.001},
    "scheduler": {
        "_target_": "torch.optim.lr_scheduler.OneCycleLR",
        "optimizer": "@optimizer",
        "max_lr": 0.01,
        "total_steps": 10,
    },
    "train": {
        "preprocessing": {
            "_target_": "monai.transforms.Compose",
            "transforms": [
                {"_target_": "monai.transforms.ScaleIntensityd", "keys": "image"},
                {"_target_": "EnsureTyped", "keys": "image"},
            ],
        },
        "dataset": {
            "_target_": "monai.data.CacheDataset",
            "data": [],
            "transform": "@train::preprocessing",
        },
        "dataloader": {
            "_target_": "monai.data.DataLoader",
            "dataset": "@##dataset",
            "batch_size": 2,
            "num_workers": 0,
        },
        "inferer": {"_target_": "monai.inferers.SimpleInferer"},
        "handlers": [
            {
                "_target_": "ValidationHandler",
                "validator": "@validate::evaluator",
                "interval": "@val_interval",
            },
            {"_target_": "monai.handlers.StatsHandler", "tag_name": "train_loss"},
        ],
        "trainer": {
            "_target_": "monai.engines.SupervisedTrainer",
            "max_epochs": 2,
            "device": "@device",
            "train_data_loader": "@train::dataloader",
            "network": "@network",
            "optimizer": "@optimizer",
            "loss_function": "@loss",
            "inferer": "@train::inferer",
            "train_handlers": "@train#handlers",
        },
    },
    "validate": {
        "dataloader": "@train::dataloader",
        "inferer": {"_target_": "monai.inferers.SimpleInferer"},
        "evaluator": {
            "_target_": "monai.engines.SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@validate::dataloader",
            "network": "@network",
            "inferer": "@validate::inferer",
        },
    },
    "initialize": ["$monai.utils.set_determinism(seed=@seed)"],
    "run": ["$@train::trainer.run()"],
}

EVALUATE = {
    "_new_": ["checkpoint"],
    "checkpoint": "$@bundle_root + '/models/model.pt'",
    "train::trainer::max_epochs": 1,
    "run": ["$@validate::evaluator.run()"],
}

INFERENCE = {
    "bundle_root": {"_target_": "pipelines.workflows.bundle.bundle_root", "name": "made_up"},
    "dataset_dir": "data",
    "output_dir": "predictions",
    "device": "$torch.device('cpu')",
    "network_def": TRAIN["network_def"],
    "network": "$@network_def.to(@device)",
    "inferer": {"_target_": "monai.inferers.SimpleInferer"},
    "dataset": {"_target_": "monai.data.Dataset", "data": []},
    "evaluator": {
        "_target_": "monai.engines.SupervisedEvaluator",
        "device": "@device",
        "val_data_loader": "@dataset",
        "network": "@network",
        "inferer": "@inferer",
    },
    "run": ["$@evaluator.run()"],
}

TENSOR = {
    "type": "image",
    "format": "magnitude",
    "num_channels": 1,
    "spatial_shape": [64, "16*n", "*"],
    "dtype": "float32",
    "value_range": [0, 1],
    "is_patch_data": False,
    "channel_def": {"0": "film"},
}

METADATA = {
    "schema": "https://project-monai.github.io/schema/meta_schema_20240725.json",
    "version": "0.1.0",
    "changelog": {"0.1.0": "first"},
    "monai_version": "1.6.1",
    "pytorch_version": "2.13.0",
    "numpy_version": "2.4.6",
    "required_packages_version": {},
    "task": "none",
    "description": "made up",
    "authors": "nobody",
    "copyright": "none",
    "network_data_format": {"inputs": {"image": TENSOR}, "outputs": {"pred": TENSOR}},
}


LOGGING = """[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = plain

[logger_root]
level = INFO
handlers = console

[handler_console]
class = StreamHandler
formatter = plain
args = (sys.stdout,)

[formatter_plain]
format = %(asctime)s %(message)s
"""


def write_bundle(folder: Path) -> Path:
    """Write the bundle into `folder` / made_up and return that."""
    root = folder / "made_up"
    contents = {
        "train": TRAIN,
        "evaluate": EVALUATE,
        "inference": INFERENCE,
        "metadata": METADATA,
    }
    for name in ("configs", "docs"):
        (root / name).mkdir(parents=True)
    for name, content in contents.items():
        (root / "configs" / f"{name}.json").write_text(json.dumps(content, indent=2))
    (root / "configs" / "logging.conf").write_text(LOGGING)
    for name in ("LICENSE", "docs/README.md", "docs/data_license.txt"):
        (root / name).write_text("made up\n")
    return root
