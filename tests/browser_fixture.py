"""A real browser for pages: Debian's Chromium without a window, and nothing fetched for it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)
SECONDS = 60
"""Until a condition must hold; a busy machine is slow, and a test waits no longer than it must."""


@contextmanager
def chromium(profile: Path) -> Iterator:
    """Give a driver of Chromium with a profile of its own; skip where there is none."""
    selenium = pytest.importorskip("selenium", reason="no selenium: pages are not opened")
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in found:
        pytest.skip("no chromium and chromedriver on the path: pages are not opened")
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = found[0]
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.webdriver.Chrome(options=options, service=Service(found[1]))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """A page in a browser, of a file or an address; every question waits until it answers."""

    def __init__(self, driver, where: Path | str) -> None:
        self.driver = driver
        driver.get(where if isinstance(where, str) else where.resolve().as_uri())
        self.until("return document.documentElement.dataset.ready === 'true'")

    def until(self, script: str, *arguments: object):
        """Wait until a script gives something true, and return that."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, SECONDS, poll_frequency=0.05).until(
            lambda driver: driver.execute_script(script, *arguments), script
        )

    def find(self, selector: str):
        """Return the first element that a selector finds, once it is there."""
        return self.until("return document.querySelector(arguments[0])", selector)

    def texts(self, selector: str) -> list[str]:
        """Return what elements say, as the page stands."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
        return self.driver.execute_script(script, selector)

    def press(self, key: str) -> None:
        """Press a key wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        ActionChains(self.driver).send_keys(getattr(Keys, key)).perform()

    def complaints(self) -> list[str]:
        """Return what stands in the console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return every address asked for that is neither the page itself nor held in it."""
        events = [
            json.loads(each["message"])["message"] for each in self.driver.get_log("performance")
        ]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("data:", "file:", "chrome:"))]
