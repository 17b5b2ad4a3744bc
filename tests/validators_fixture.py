"""Programs of others that judge DICOM objects; what they find wrong, as lines."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PIXELMED = Path("/usr/share/java/pixelmed.jar")
NEEDED = ("dciodvfy", "dcentvfy", "dsrdump", "java")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
MISSING += [] if PIXELMED.is_file() else ["pixelmed.jar"]

# Its stylesheets ask for more than Java's limits on XPath allow.
_JAVA = (
    "java",
    "-Xss16m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    *(f"-Djdk.xml.xpath{each}Limit=0" for each in ("TotalOp", "ExprOp", "ExprGrp")),
    "-cp",
)
# dcentvfy takes the accession number for the series' in images and for the study's in reports.
_KNOWN = ("Element=<AccessionNumber> IE <",)


def said(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), capture_output=True, encoding="latin-1", timeout=300, check=False
    )


def iod_errors(path: Path) -> list[str]:
    """What dciodvfy finds wrong; its warnings are of the private coding scheme and the source."""
    lines = said("dciodvfy", path).stderr.splitlines()
    assert lines, "it names at least the kind of object"
    return [line for line in lines if line.startswith("Error")]


def entity_complaints(paths: Sequence[Path]) -> list[str]:
    """What dcentvfy finds that differs between objects of one patient, study or series."""
    done = said("dcentvfy", *paths)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if not any(known in line for known in _KNOWN)]


def report_complaints(path: Path) -> list[str]:
    """What DCMTK says of a report that it could not read rightly."""
    done = said("dsrdump", path)
    return done.stderr.splitlines() + ([] if done.returncode == 0 else ["it failed"])


def template_errors(paths: Sequence[Path]) -> list[str]:
    """What PixelMed finds against the template of reports, TID 1500; a start costs seconds."""
    done = said(*_JAVA, PIXELMED, Path(__file__).with_name("ReportValidator.java"), *paths)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines.count("Root Template Validation Complete") == len(paths), lines
    assert sum("Found Root Template TID_1500" in line for line in lines) == len(paths), lines
    return [line for line in lines if line.startswith("Error")]
