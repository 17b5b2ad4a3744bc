"""One image through EfficientNet-B0 and DenseNet121 in the best engine, against eager PyTorch.

The peer is what a user has before doing anything: eager PyTorch in float32, in the same run. Each
engine has its own process and they take turns (`plainfilm benchmark`). INT8 is calibrated with
generated films: its speed does not depend on what they show.

    python benchmarks/one_image.py
"""

import tempfile
from pathlib import Path

import measuring

from pipelines.datasets.phantoms.chest_samples import write_chest_samples
from pipelines.deploy.benchmark import rounds
from pipelines.deploy.benchmark.contestants import BASELINE, contestants
from pipelines.deploy.export import Int8, export_bundle
from pipelines.workflows.bundle import find_bundle

NETWORKS = {
    "EfficientNet-B0": "pneumonia_efficientnet_b0",
    "DenseNet121": "pneumonia_classification",
}
ENGINES = ("onnxruntime", "openvino_f32", "openvino")
SIDE = 224
BATCH = 8
CALIBRATION_FILMS = 16
TARGET = 7.4
"""Published of one EfficientNet-B0 image on a CPU: ONNX 7.39 times faster than eager PyTorch."""


def main() -> None:
    """Measure both networks and report the quickest engine of each."""
    parser = measuring.arguments(__doc__)
    parser.set_defaults(repeats=8)
    options = parser.parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        films = Path(folder) / "films"
        write_chest_samples(films, count=CALIBRATION_FILMS)
        for name, bundle in NETWORKS.items():
            quantised = Path(folder) / f"{bundle}_int8.xml"
            export_bundle(
                find_bundle(bundle),
                export_format="openvino",
                output=quantised,
                int8=Int8(films, CALIBRATION_FILMS),
            )
            figures.append(measured(name, bundle, quantised, options.repeats))
    measuring.report(figures, options.json)


def measured(name: str, bundle: str, quantised: Path, repeats: int) -> measuring.Figure:
    """Measure a network in every engine, print all of them and return the quickest."""
    engines = [*ENGINES, str(quantised)]
    with contestants(find_bundle(bundle), engines, size=SIDE, overrides={}) as (started, shape):
        lines = rounds.measure(started, rounds=repeats, batch=BATCH)
    print(f"{name}\n{rounds.as_text(lines, shape=shape, batch=BATCH)}\n")
    best = min(lines, key=lambda line: line.one_image_ms_median)
    eager = next(line for line in lines if line.engine == BASELINE)
    engine = "OpenVINO INT8" if best.engine == quantised.stem else best.engine
    return measuring.Figure(
        f"one image of {name} at {SIDE} px, {engine}",
        "ms",
        best.one_image_ms_median,
        eager.one_image_ms_median / best.one_image_ms_median,
        "peer / ours",
        TARGET,
        peer=eager.one_image_ms_median,
        peer_name="PyTorch eager float32",
    )


if __name__ == "__main__":
    main()
