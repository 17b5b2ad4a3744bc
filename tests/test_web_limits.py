"""How much a client may ask for, and from where; every answer has the same headers."""

import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import pytest
from bundle_fixture import write_dicom, write_png
from node_fixture import wait_until
from web_fixture import HOST, says, tiny_predictor, web_client

from pipelines.deploy.web import answers as answers_module
from pipelines.deploy.web.limits import Limits
from pipelines.deploy.web.receiving import in_time
from pipelines.deploy.web.request_errors import RequestError
from pipelines.errors import ConfigurationError
from pipelines.ingest.read import read_radiograph

SMALL = 20_000
LIMITS = Limits(film_bytes=SMALL, waiting=1)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return tiny_predictor(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def client(predictor):
    with web_client({"tiny": predictor}, limits=LIMITS, hosts=["Films.example"]) as client:
        yield client


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_dicom(tmp_path_factory.mktemp("films") / "a.dcm").read_bytes()


@pytest.mark.parametrize("route", ["/predict", "/film"])
def test_a_body_is_refused_as_soon_as_it_is_too_large(client, route):
    assert says(client.post(route, content=bytes(SMALL + 1)), 413, "too_large")
    asked = []

    def pieces():
        for number in range(100):
            asked.append(number)
            yield bytes(SMALL // 4)

    assert says(client.post(route, content=pieces()), 413, "too_large")
    files = {"film": bytes(SMALL + 1)}
    assert says(client.post(route, files=files), 413, "too_large")
    assert says(client.post(route, files={"film": bytes(10 * SMALL)}), 413, "too_large")


def test_a_compressed_body_is_refused(client, film):
    answer = client.post("/predict", content=film, headers={"Content-Encoding": "gzip"})
    assert says(answer, 415, "unsupported_media_type")


@pytest.fixture
def held(monkeypatch):
    """Let films be read only when they may."""
    may, begun = threading.Event(), threading.Semaphore(0)

    def read(path, *, frame=0):
        film = read_radiograph(path, frame=frame)
        begun.release()
        may.wait(20)
        return film

    monkeypatch.setattr(answers_module, "read_radiograph", read)
    yield may, begun
    may.set()


def test_who_finds_no_room_is_told_when_to_come_back(predictor, film, held):
    may, begun = held
    limits = Limits(waiting=1, reading_seconds=20)
    with web_client({"tiny": predictor}, limits=limits) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, "/predict", content=film)
        begun.acquire(timeout=20)
        second = pool.submit(client.post, "/predict", content=film)
        wait_until(lambda: client.get("/status").json()["films"]["held"] == 2)
        third = client.post("/predict", content=film)
        assert says(third, 503, "busy")
        assert int(third.headers["Retry-After"]) > 0
        assert "plainfilm_http_films_held 2.0" in client.get("/metrics").text
        may.set()
        assert first.result(20).status_code == second.result(20).status_code == 200
        assert client.get("/status").json()["films"] == {"held": 0, "places": 2}
        assert client.post("/predict", content=film).status_code == 200


def test_a_film_that_takes_too_long_is_refused_and_few_may_go_on(predictor, film, held):
    may, _ = held
    with web_client({"tiny": predictor}, limits=Limits(reading_seconds=0.3)) as client:
        for _ in range(3):
            assert says(client.post("/predict", content=film), 422, "too_slow")
        assert says(client.post("/predict", content=film), 503, "busy")
        may.set()
        # A busy machine may take longer than the limit without anybody holding a film.
        wait_until(lambda: client.post("/predict", content=film).status_code != 503)


def test_a_client_that_sends_too_slowly_is_refused():
    async def slow():
        async with in_time(0.01):
            await asyncio.sleep(60)

    with pytest.raises(RequestError) as raised:
        asyncio.run(slow())
    assert raised.value.status == 408


@pytest.mark.parametrize("name", ["film_bytes", "waiting", "receiving_seconds", "reading_seconds"])
def test_limits_are_above_0(name):
    with pytest.raises(ConfigurationError, match=f"http.{name}"):
        Limits(**{name: 0})


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil@127.0.0.2", "", "[::1", "0"]
)
def test_a_foreign_host_is_refused(client, host):
    for method, route in (("GET", "/status"), ("GET", "/"), ("POST", "/predict")):
        assert says(client.request(method, route, headers={"Host": host}), 421, "host_not_allowed")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:8080", "LOCALHOST", "[::1]:8080", "films.example:80"]
)
def test_own_names_are_allowed(client, host):
    assert client.get("/health", headers={"Host": host}).json() == {"status": "ok"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_page_can_send_nothing(client, film, headers):
    assert says(client.post("/predict", content=film, headers=headers), 403, "cross_origin")


def test_the_own_page_can(client, tmp_path):
    own = {"Origin": HOST, "Sec-Fetch-Site": "same-origin"}
    content = write_png(tmp_path / "a.png").read_bytes()
    assert client.post("/predict", content=content, headers=own).status_code == 200


def test_every_answer_is_for_its_own_page_alone(client, film):
    answers = [
        client.get("/health"),
        client.get("/nothing"),
        client.post("/predict", content=film),
        client.post("/predict", content=b"text"),
        client.get("/health", headers={"Host": "evil.example"}),
        client.options("/predict", headers={"Origin": "http://evil.example"}),
    ]
    for answer in answers:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        named = {name.lower() for name in answer.headers}
        assert not named & {"set-cookie", "access-control-allow-origin", "server"}


def test_unknown_routes_and_methods_say_so_in_the_same_form(client):
    assert says(client.get("/nothing"), 404, "not_found")
    assert says(client.get("/../../etc/passwd"), 404, "not_found")
    assert says(client.get("/predict"), 405, "bad_request")
    assert client.get("/docs").status_code == 404


def test_status_and_metrics_say_what_there_is(client, predictor, film):
    client.post("/predict", content=film)
    status = client.get("/status").json()
    (bundle,) = status["bundles"]
    assert bundle["bundle"] == "tiny"
    assert bundle["weights_sha256"] == predictor.engine.weights_sha256
    assert bundle["record"] == "Classification"
    assert status["node"] is None
    text = client.get("/metrics").text
    assert 'plainfilm_http_films_total{bundle="tiny",outcome="predicted"}' in text
    assert 'plainfilm_http_answers_total{route="/status",status="200"}' in text
    client.post("/predict", content=b"text")
    assert 'outcome="not_an_image"' in client.get("/metrics").text


def test_a_node_says_how_it_is(predictor):
    with web_client({"tiny": predictor}, node_status=lambda: {"films": {"queued": 3}}) as client:
        assert client.get("/status").json()["node"] == {"films": {"queued": 3}}


class _References(HTMLParser):
    """Collects what a page asks for, and what stands in it that a policy would forbid."""

    def __init__(self):
        super().__init__()
        self.asked, self.inline = [], []
        self._script = False

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self._script = tag == "script"
        self.asked += [named[name] for name in ("src", "href") if name in named]
        self.inline += [name for name in named if name == "style" or name.startswith("on")]
        self.inline += ["style"] if tag == "style" else []

    def handle_data(self, data):
        if self._script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag):
        self._script = False


def test_the_page_needs_nothing_from_elsewhere_and_nothing_inline(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    found = _References()
    found.feed(page.text)
    assert found.inline == []
    asked = [each for each in found.asked if not each.startswith(("#", "data:,"))]
    scripts = [each for each in asked if each.startswith("static/")]
    assert len(scripts) == 2
    for each in (*asked, "static/viewer.js", "static/answer.js"):
        answer = client.get(f"/{each}")
        assert answer.status_code == 200, each
        assert not re.search(r"https?://(?!www\.w3\.org)|innerHTML|eval\(|@import", answer.text)
    assert client.get("/static/page.js").headers["content-type"].startswith("text/javascript")
    for each in ("index.html", "", "..%2fapp.py", "../app.py"):
        assert client.get(f"/static/{each}").status_code == 404


def test_the_reference_names_what_there_is(client):
    reference = client.get("/openapi.json").json()
    predict = reference["paths"]["/predict"]["post"]
    assert {each["name"] for each in predict["parameters"]} == {
        *("bundle", "frame", "explain", "masks")
    }
    assert "application/dicom" in predict["requestBody"]["content"]
    assert {"413", "415", "422", "503"} <= set(predict["responses"])
