"""The page for trying a film, served and used in a real browser as a person would."""

import base64
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import uvicorn
from browser_fixture import Page, chromium
from bundle_fixture import one_torch_thread, write_png
from corpus.dicom_films import film, save
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from web_fixture import Node, tiny_predictor

from pipelines.deploy.web.app import create_app
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.inference.predictor import Predictor
from pipelines.inference.segment import Segment
from pipelines.ingest.read import read_film_values, read_radiograph
from pipelines.transforms.segmentation_chains import segmentation_preprocessing

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

PIXELS = """
const [film, heat] = [document.getElementById("film"), document.getElementById("heat")];
const read = (canvas) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height).data;
};
const data = read(film);
let sum = 0;
const greys = new Set();
for (let at = 0; at < data.length; at += 4) {
  sum = (sum * 31 + data[at]) >>> 0;
  greys.add(data[at]);
}
"""
SUM = f"{PIXELS} return sum + 1"
GREYS = f"{PIXELS} return [...greys]"


@contextmanager
def served(app):
    """Give the address of an application that listens on a free port."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def outlines_predictor(folder):
    """A segmentation that finds two of three structures on every film."""
    classes = ("Radius", "Ulna", "Lunate")
    SegmentationPoint(classes, (0.5,) * 3).save(folder / "operating_point.json")
    maps = np.full((1, 3, 64, 64), -9, np.float32)
    maps[0, 0, 20:40, 10:30] = maps[0, 1, 20:40, 26:50] = 9
    return Predictor(
        segmentation_preprocessing(64, 64, classes=classes),
        lambda _: maps,
        Segment(folder / "model.pt", output_dir=folder, refiner=None),
        model={"bundle": "bones", "bundle_version": "0.0.1", "weights_sha256": "00"},
    )


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("node"))
    yield node
    node.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory, node):
    folder = tmp_path_factory.mktemp("bundles")
    predictors = {
        "first": tiny_predictor(folder / "first", bias=30.0),
        "second": tiny_predictor(folder / "second", bias=-30.0),
        "bones": outlines_predictor(folder),
    }
    app = create_app(predictors, inbox=node.inbox)
    with one_torch_thread(), served(app) as address:
        yield address


@pytest.fixture(scope="module")
def radiograph(real_dicom):
    return real_dicom / "data" / "RG3_UNCR.dcm"


@pytest.fixture
def page(driver, address):
    page = Page(driver, f"{address}/")
    page.complaints()
    page.requests()
    return page


def choose(page, path):
    page.driver.execute_script("delete document.documentElement.dataset.done")
    page.find("#file").send_keys(str(path))
    done(page)


def done(page):
    page.until("return document.documentElement.dataset.done === 'true'")


def slide(page, name, value):
    script = """
    const slider = document.getElementById(arguments[0]);
    slider.value = arguments[1];
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    """
    page.driver.execute_script(script, name, value)


def test_a_real_radiograph_is_seen_windowed_and_answered(page, address, radiograph):
    assert "not for diagnosis" in page.texts(".notice")[0]
    assert page.texts("#bundle option") == ["first 0.0.1", "second 0.0.1", "bones 0.0.1"]
    choose(page, radiograph)
    assert page.texts("#result h2") == ["PNEUMONIA"]
    assert "99.9" in page.texts("#result .bar.first .value")[0]
    assert "called from 50.0" in page.texts("#result")[0]
    values = read_film_values(radiograph)
    assert page.texts("#level-value") == [str(round(values.window.center))]
    assert page.texts("#width-value") == [str(round(values.window.width))]

    # What is shown first is what the network gets.
    stored = page.until(SUM)
    pixels = read_radiograph(radiograph).pixels[0]
    greys = page.driver.execute_script(f"{PIXELS} return [data[4 * 900 * film.width + 4 * 700]]")
    place = tuple(round((n + 0.5) * pixels.shape[0] / 1536 - 0.5) for n in (900, 700))
    assert abs(greys[0] / 255 - pixels[place]) < 0.05

    # The film has 1024 values: a window of 64 shows more of them than 8 bits could.
    slide(page, "width", 64)
    page.until(f"{PIXELS} return sum + 1 !== arguments[0]", stored)
    assert len(page.driver.execute_script(GREYS)) > 50
    slide(page, "width", 1)
    page.until(f"{PIXELS} return greys.size === 2")
    page.find("#stored").click()
    assert page.until(SUM) == stored

    page.find("#invert").click()
    assert page.until(SUM) != stored
    page.find("#stored").click()
    assert page.until(SUM) == stored
    assert page.complaints() == []
    asked = page.requests()
    assert asked
    assert all(url.startswith(f"{address}/") for url in asked)


def test_the_window_is_set_by_mouse_and_keyboard(page, radiograph):
    from selenium.webdriver.common.action_chains import ActionChains

    choose(page, radiograph)
    stored = page.until(SUM)
    ActionChains(page.driver).drag_and_drop_by_offset(page.find("#film"), 60, 40).perform()
    page.until(f"{PIXELS} return sum + 1 !== arguments[0]", stored)
    assert page.texts("#source") == ["Set by hand"]
    before = page.texts("#level-value")
    page.driver.execute_script("document.getElementById('film').focus()")
    page.press("ARROW_UP")
    page.until(
        "return document.getElementById('level-value').textContent !== arguments[0]", *before
    )
    before = page.texts("#width-value")
    page.driver.execute_script("document.getElementById('width').focus()")
    page.press("ARROW_RIGHT")
    page.until(
        "return document.getElementById('width-value').textContent !== arguments[0]", *before
    )


def test_the_heat_map_is_hidden_and_faded(page, radiograph):
    choose(page, radiograph)
    heat = "getComputedStyle(document.getElementById('heat'))"
    opaque = "read(heat).some((value, at) => at % 4 === 3 && value > 100)"
    page.until(f"{PIXELS} return heat.width > 1 && {opaque}")
    assert page.texts("#overlay-title")[0].startswith("Grad-CAM")
    page.find("#overlay").click()
    page.until(f"return {heat}.visibility === 'hidden'")
    page.find("#overlay").click()
    page.until(f"return {heat}.visibility === 'visible'")
    slide(page, "opacity", 20)
    page.until(f"return {heat}.opacity === '0.2'")


def test_another_bundle_answers_the_same_film(page, radiograph):
    choose(page, radiograph)
    page.driver.execute_script("delete document.documentElement.dataset.done")
    page.find("#bundle option[value=second]").click()
    done(page)
    assert page.texts("#result h2") == ["NORMAL"]
    page.driver.execute_script("delete document.documentElement.dataset.done")
    page.find("#bundle option[value=bones]").click()
    done(page)
    assert page.texts("#result h2") == ["2 of 3 found"]
    assert "Lunate" in page.texts("#result .meaning")[-1]
    assert page.driver.execute_script(
        "return [...document.querySelectorAll('#outlines path')].map(e => e.dataset.name)"
    ) == ["Radius", "Ulna"]
    page.driver.execute_script("document.querySelector('#result tbody tr').focus()")
    page.until("return document.querySelector('#outlines path.lit').dataset.name === 'Radius'")
    assert page.complaints() == []


def test_a_film_is_dropped(page, tmp_path):
    content = base64.b64encode(write_png(tmp_path / "a.png").read_bytes()).decode()
    script = """
    const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "<b>dropped</b>.png", { type: "image/png" }));
    const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
    return !document.getElementById("stage").dispatchEvent(event);
    """
    assert page.driver.execute_script(script, content), "the browser must not open the file"
    done(page)
    assert page.texts("#name") == ["<b>dropped</b>.png"]
    assert page.texts("#result h2") == ["PNEUMONIA"]
    assert page.driver.execute_script("return document.getElementById('film').width") == 50


def test_a_file_of_several_films_shows_each(page, tmp_path):
    frames = np.stack([np.tile(np.arange(40, dtype=np.uint16) * 100, (50, 1))] * 2)
    frames[1] = frames[1, :, ::-1]
    dataset = film(frames[0], NumberOfFrames=2, WindowCenter=2000, WindowWidth=4000)
    dataset.PixelData = frames.tobytes()
    save(tmp_path / "two.dcm", dataset)
    choose(page, tmp_path / "two.dcm")
    assert page.texts("#frames-all") == ["of 2"]
    first = page.until(f"{PIXELS} return [...data.slice(0, 160)]")[::4]
    assert first == sorted(first)
    script = """
    const number = document.getElementById("frame-number");
    delete document.documentElement.dataset.done;
    number.value = 2;
    number.dispatchEvent(new Event("change"));
    """
    page.driver.execute_script(script)
    done(page)
    assert page.until(f"{PIXELS} return [...data.slice(0, 160)]")[::4] == first[::-1]
    assert page.texts("#result h2") == ["PNEUMONIA"]


def test_a_refusal_is_said_plainly(page, tmp_path, radiograph):
    choose(page, radiograph)
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(radiograph.read_bytes()[:-1000])
    choose(page, cut)
    assert page.texts("#result strong") == ["Refused: truncated"]
    assert page.texts("#result h2") == []
    assert not page.find("#film").is_displayed()
    choose(page, radiograph)
    assert page.texts("#result h2") == ["PNEUMONIA"]
    assert page.find("#film").is_displayed()


def test_what_may_pass_is_tried_again(page, driver, radiograph):
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/predict*"]})
    try:
        choose(page, radiograph)
        assert page.texts("#result strong") == ["Refused: no answer"]
    finally:
        driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    driver.execute_script("delete document.documentElement.dataset.done")
    page.find("#result > button").click()
    done(page)
    assert page.texts("#result h2") == ["PNEUMONIA"]


def test_it_fits_a_phone_and_the_dark(page, driver, radiograph):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        choose(page, radiograph)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
        ground = "return getComputedStyle(document.body).backgroundColor"
        light = page.until(ground)
        page.find("#theme").click()
        page.until(f"{ground} !== arguments[0]", light)
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_dicomweb_client_stores_real_radiographs(address, node, radiograph):
    dataset = dcmread(radiograph)
    stored = DICOMwebClient(f"{address}/dicom-web").store_instances([dataset])
    (item,) = stored.ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
    (kept,) = node.stored()
    assert dataset.PixelData in kept
