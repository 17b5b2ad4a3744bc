"""The main job, shown: samples, a short training run, batch inference on real and on bad files.

Every step is a command that a user would give; it is printed before it runs.
"""

import csv
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from pipelines.errors import PlainfilmError, Reason
from pipelines.verbs.options import ExitStatus
from pipelines.workflows.bundle import CHECKOUT

BUNDLE = "pneumonia_classification"
FOLDER = Path("runs") / "demo"
_EPOCHS = 2


def main() -> int:
    """Run the demonstration in `runs/demo` of the checkout; return its exit status."""
    began = time.monotonic()
    shutil.rmtree(CHECKOUT / FOLDER, ignore_errors=True)
    samples, films, output = FOLDER / "samples", FOLDER / "films", FOLDER / "predictions"
    try:
        _say("1. Generated chest films, to train without any download")
        _run("-m", "pipelines", "sample", "chest", samples)
        _say("2. A short training run (it shows the way; the shipped weights are another matter)")
        train = Path("bundles") / BUNDLE / "configs" / "train.json"
        _run(
            *("-m", "monai.bundle", "run", "--config_file", train),
            *("--dataset_dir", samples, "--output_dir", FOLDER / "training"),
            *("--train::trainer::max_epochs", _EPOCHS),
        )
        _say("3. The shipped weights on real films and on bad files")
        gather_films(CHECKOUT / films, sample=next((CHECKOUT / samples).rglob("*.dcm")))
        status = _run(
            *("-m", "pipelines", "predict", BUNDLE, films, output), allowed=ExitStatus.SOME_FAILED
        )
        _say(_found(CHECKOUT / output, status=status))
    except PlainfilmError as error:
        _say(f"demo: {error}")
        return ExitStatus.FAILED
    _say(
        f"\ntables      {output}/predictions.csv, failures.csv, summary.json\n"
        f"page        {output}/report.html, to open in a browser\n"
        f"training    {FOLDER}/training: report.html, curves.png, metrics.csv, log.csv\n"
        f"TensorBoard .venv/bin/tensorboard --logdir {FOLDER}/training\n"
        f"The whole demonstration took {time.monotonic() - began:.0f} s."
    )
    return ExitStatus.DONE


def gather_films(folder: Path, *, sample: Path) -> None:
    """Put real radiographs and a few files that no reader should predict on into one folder.

    Args:
        folder: Where to put them; made as needed.
        sample: A DICOM film, of which a half becomes the file that was cut off.
    """
    real = sorted(_installed("data_store").rglob("RG[13]_*.dcm"))
    folder.mkdir(parents=True, exist_ok=True)
    for film in real:
        shutil.copy(film, folder / film.name)
    (folder / "second_copy.dcm").write_bytes(real[0].read_bytes())
    (folder / "cut_off.dcm").write_bytes(sample.read_bytes()[: sample.stat().st_size // 2])
    (folder / "letter.dcm").write_text("This is a letter, whatever its name says.\n")
    (folder / "empty.dcm").write_bytes(b"")
    shutil.copy(_installed("pydicom") / "data" / "test_files" / "reportsi.dcm", folder)


def _installed(package: str) -> Path:
    """Return the folder of a package without importing it: only its files are wanted.

    Raises:
        PlainfilmError: If the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise PlainfilmError(
            Reason.FILE_UNREADABLE,
            f"expected the package {package} with real films; run `make demo`, which installs it",
        )
    return Path(spec.origin).parent


def _run(*arguments: object, allowed: int = 0) -> int:
    words = [str(argument) for argument in arguments]
    _say("\n$ python " + " ".join(words))
    status = subprocess.run([sys.executable, *words], cwd=CHECKOUT, check=False).returncode
    if status not in {0, allowed}:
        raise PlainfilmError(
            Reason.INTERNAL, f"the command above ended with exit status {status}; see what it said"
        )
    return status


def _found(output: Path, *, status: int) -> str:
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    with (output / "failures.csv").open(newline="", encoding="utf-8") as table:
        refused = list(csv.DictReader(table))
    with (output / "predictions.csv").open(newline="", encoding="utf-8") as table:
        labels = Counter(row["predicted_label"] for row in csv.DictReader(table))
    lines = [
        f"\n{summary['inputs']} inputs: {summary['predicted']} predicted, {summary['skipped']} "
        f"skipped, {summary['failed']} failed (exit status {status}: 3 says that some failed)",
        "predicted   " + ", ".join(f"{count} {label}" for label, count in labels.items()),
        "            RG1 is a chest, RG3 a leg: a classifier of chests answers for legs as well",
        "refused     " + "; ".join(f"{row['filename']} ({row['reason']})" for row in refused),
    ]
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
