"""How large is a report of many films, how long does it take to build, and how soon is it painted?

The films are generated, the answers made up: a tenth are flagged, a twentieth failed, and of the
first 300 there is a picture of where a network would have looked. Chromium opens the page, driven
by Selenium, cold, several times; first paint is what `performance.getEntriesByType("paint")` says,
`ready` is when the table stands. The peer is the plainest page of these cases: all of them as rows
of one HTML table, with the same small pictures.

    python benchmarks/report.py --films 5000
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from pipelines.datasets.phantoms.chest import chest_film
from pipelines.evaluation.explanation_pictures import write_explanation
from pipelines.files import write_csv, write_json
from pipelines.reports.page import draw_report
from pipelines.reports.thumbnails import encode, shrunk

CLASSES = ("NORMAL", "PNEUMONIA")
DRAWN = 60
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=5000)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--times", type=int, default=5, help="how often the page is opened")
    parser.add_argument("--keep", type=Path, help="folder to leave the page in")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary) / "results"
        folder.mkdir(parents=True, exist_ok=True)
        names, small = write_results(folder, films=given.films, pictures=given.pictures)
        began = time.monotonic()
        report = draw_report(folder, title="benchmark", kind="prediction", thumbnails=lambda: small)
        seconds = time.monotonic() - began
        if report is None:
            sys.exit("the report was not drawn")
        plain = folder / "plain.html"
        plain.write_text(plain_page(names, small), encoding="utf-8")
        print(f"{'page':10} {'MB':>6} {'built in s':>10} {'first paint s':>14} {'ready s':>8}")
        for page, built in ((report, seconds), (plain, None)):
            opened = [open_once(page) for _ in range(given.times)]
            paint, ready = (statistics.median(values) for values in zip(*opened, strict=True))
            told = "" if built is None else f"{built:.1f}"
            size = page.stat().st_size / 1e6
            print(f"{page.stem:10} {size:6.1f} {told:>10} {paint:14.2f} {ready:8.2f}")


def write_results(folder: Path, *, films: int, pictures: int) -> tuple[list[str], dict[str, str]]:
    """Write the tables of a prediction; return the names of films and their small pictures."""
    random = np.random.default_rng(0)
    drawn = [chest_film(random, opacity=bool(n % 2), shape=(256, 224)) for n in range(DRAWN)]
    names = [f"ward {number % 7}/film_{number:05d}.dcm" for number in range(films)]
    refused = films // 20
    shares = random.beta(0.4, 0.4, films)
    rows = [
        {
            "filename": name,
            "predicted_class": int(share >= 0.5),
            "predicted_label": CLASSES[int(share >= 0.5)],
            "confidence": max(share, 1 - share),
            "prob_NORMAL": 1 - share,
            "prob_PNEUMONIA": share,
            "out_of_distribution": str(number % 10 == 0).lower(),
        }
        for number, (name, share) in enumerate(zip(names, shares.tolist(), strict=True))
    ]
    failed = [
        {"filename": name, "outcome": "failed", "reason": "truncated", "message": "copy it again"}
        for name in names[films - refused :]
    ]
    write_csv(folder / "predictions.csv", list(rows[0]), rows[: films - refused])
    write_csv(folder / "failures.csv", ["filename", "outcome", "reason", "message"], failed)
    summary = {"inputs": films, "explanations": "Grad-CAM", "reasons": {"truncated": refused}}
    write_json(folder / "summary.json", summary)
    down, across = np.mgrid[:256, :224].astype(np.float32)
    for number in range(min(pictures, films - refused)):
        film = drawn[number % DRAWN]
        middle = random.integers(60, 160, 2)
        heat = np.exp(-((down - middle[0]) ** 2 + (across - middle[1]) ** 2) / 1800)
        path = folder / "explanations" / f"{names[number]}.png"
        write_explanation(path, film[None], {"Grad-CAM": heat.astype(np.float32)}, title="made up")
    noise = random.normal(0, 0.02, (films, 96, 84)).astype(np.float32)
    small = {
        name: encode(shrunk(np.clip(drawn[n % DRAWN][None, ::2, ::2] + noise[n, :1, :1], 0, 1)))
        for n, name in enumerate(names)
    }
    return names, small


def plain_page(names: list[str], small: dict[str, str]) -> str:
    """Return a page with a row a film."""
    rows = (
        f'<tr><td><img src="data:image/webp;base64,{small[name]}"></td><td>{name}</td></tr>'
        for name in names
    )
    ready = "<script>document.documentElement.dataset.ready = 'true'</script>"
    return f"<!doctype html><meta charset=utf-8><h1>plain</h1><table>{''.join(rows)}</table>{ready}"


def open_once(page: Path) -> tuple[float, float]:
    """Open a page in a fresh browser; return the seconds to first paint and to the whole table."""
    options = Options()
    options.binary_location = shutil.which("chromium") or "chromium"
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            driver.get(page.resolve().as_uri())
            WebDriverWait(driver, 120, poll_frequency=0.05).until(
                lambda seen: seen.execute_script(
                    "return document.documentElement.dataset.ready === 'true' "
                    "&& performance.getEntriesByType('paint').length > 0"
                )
            )
            paint = driver.execute_script(
                "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
            )
            ready = driver.execute_script(
                "return performance.getEntriesByType('navigation')[0].domInteractive"
            )
        finally:
            driver.quit()
    return paint / 1000, ready / 1000


if __name__ == "__main__":
    main()
