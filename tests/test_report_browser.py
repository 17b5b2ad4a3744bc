"""A report of each kind, opened and used in a real browser as a person would."""

import numpy as np
import pytest
from browser_fixture import Page, chromium
from report_fixture import HOSTILE, write_classification, write_outlines, write_prediction

from pipelines.reports.page import draw_report
from pipelines.reports.thumbnails import encode, shrunk

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def prediction(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prediction")
    write_prediction(folder, count=120)
    film = shrunk(np.random.default_rng(0).random((1, 40, 50), np.float32))
    small = {f"films/{number:03d}.dcm": encode(film) for number in range(120)}
    return draw_report(folder, title="tiny 0.0.1", kind="prediction", thumbnails=lambda: small)


def test_a_prediction_is_sorted_filtered_and_opened(driver, prediction):
    page = Page(driver, prediction)
    assert page.texts("h1") == ["tiny 0.0.1"]
    first = page.texts("#rows .state")[0]
    assert first.startswith("failed"), "what failed stands first"
    assert len(page.texts("#rows tr")) == 50

    page.find("th[data-key=prob_PNEUMONIA] button").click()
    page.until("return document.querySelector('th[aria-sort=descending]')")
    shares = [float(text.strip("<> %")) for text in page.texts("#rows td:last-child")]
    assert shares == sorted(shares, reverse=True)
    page.find("th[data-key=filename] button").click()
    page.until("return document.querySelector('th[data-key=filename][aria-sort=ascending]')")
    names = page.texts("#rows .name")
    assert "films/000.dcm" in names
    assert "films/119.dcm" not in names

    page.find("#states [data-state=flagged]").click()
    page.until("return document.querySelector('#count').textContent.startsWith('12 of')")
    assert all("unlike" in text for text in page.texts("#rows .state"))
    page.find("#find").send_keys("04 dcm")
    page.until("return document.querySelectorAll('#rows tr').length === 1")
    assert page.texts("#rows .name") == ["films/040.dcm"]
    page.find("#reset").click()
    page.until("return document.querySelector('#count').textContent.startsWith('123 of')")


def test_a_case_is_opened_and_closed_by_keyboard(driver, prediction):
    page = Page(driver, prediction)
    page.driver.execute_script("document.querySelector('[data-open=\"5\"]').focus()")
    page.press("ENTER")
    page.until("return document.querySelector('dialog').open")
    name = page.texts("#case-title")[0]
    assert name == page.driver.execute_script(
        "return document.querySelector('[data-open=\"5\"]').textContent"
    )
    page.until("return document.querySelector('#case-picture').naturalWidth > 0")
    assert "Probability of NORMAL" in page.texts("#case-values dt")
    page.press("ARROW_RIGHT")
    page.until("return document.querySelector('#case-title').textContent !== arguments[0]", name)
    page.press("ESCAPE")
    page.until("return !document.querySelector('dialog').open")
    page.until("return document.activeElement.dataset.open === '6'")


def test_light_and_dark(driver, prediction):
    page = Page(driver, prediction)
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = page.until(ground)
    page.find("#theme").click()
    page.until(f"{ground} !== arguments[0]", light)
    assert page.find("#theme").get_attribute("aria-pressed") == "true"


def test_names_are_text_whatever_they_hold(driver, tmp_path):
    write_prediction(tmp_path, count=3, names=HOSTILE)
    page = Page(driver, draw_report(tmp_path, title="<b>tiny", kind="prediction"))
    assert page.texts("h1") == ["<b>tiny"]
    assert set(HOSTILE) <= set(page.texts("#rows .name"))
    assert page.driver.execute_script("return window.broken ?? null") is None
    for hostile in HOSTILE:
        assert not page.texts(f"#rows [data-x='{len(hostile)}']")


def test_a_page_that_fits_a_phone(driver, prediction):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page = Page(driver, prediction)
        wide = page.driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 390
        assert page.find("#sort").is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    write_classification(folder)
    return draw_report(folder, title="tiny", kind="evaluation, test films")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_outlines(folder)
    return draw_report(folder, title="tiny", kind="training run, validation films")


def test_an_evaluation_shows_its_figures_and_what_was_wrong_first(driver, evaluation):
    page = Page(driver, evaluation)
    assert "AUROC" in page.texts("#figures tbody th")
    assert len(page.texts("#plots figure")) >= 4
    loaded = "return [...document.querySelectorAll('#plots img')].every(e => e.naturalWidth > 0)"
    page.until(loaded)
    assert page.texts("#data-card h3")[0].startswith("Films of each split")
    assert page.texts("#rows .state")[0] == "wrong"
    page.find("#states [data-state=right]").click()
    page.until("return document.querySelector('[data-state=right][aria-pressed=true]')")
    assert set(page.texts("#rows .state")) == {"right"}
    page.find("select[data-key=label] option[value=NORMAL]").click()
    cells = "[...document.querySelectorAll('#rows .label')]"
    page.until(f"return {cells}.every(e => e.textContent === 'NORMAL')")


def test_the_worst_film_has_its_picture(driver, run):
    page = Page(driver, run)
    assert page.texts("#rows .name")[0] == "11.png"
    page.find("#rows .name button").click()
    page.until("return document.querySelector('#case-picture.large').naturalWidth === 60")
    page.press("ARROW_RIGHT")
    page.until("return document.querySelector('#case-picture').parentElement.hidden")


@pytest.mark.parametrize("kind", ["prediction", "evaluation", "run"])
def test_nothing_is_asked_of_a_network_and_nothing_complained_of(driver, kind, request):
    report = request.getfixturevalue(kind)
    page = Page(driver, report)
    page.complaints()
    page.requests()
    page = Page(driver, report)
    page.find("#rows .name button").click()
    page.until("return document.querySelector('dialog').open")
    page.press("ESCAPE")
    page.until("return !document.querySelector('dialog').open")
    assert page.complaints() == []
    assert page.requests() == []
