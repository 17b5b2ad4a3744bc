"""A multipart body gives the same parts however it comes; a client that goes leaves nothing."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_fixture import tiny_predictor

from pipelines.deploy.web.app import create_app
from pipelines.deploy.web.request_errors import BadRequestError
from pipelines.deploy.web.uploads import read_parts

BOUNDARY = b"a-boundary"
CONTENTS = st.binary(max_size=200) | st.sampled_from(
    [b"\r\n--a-boundar", b"--a-boundary", b"\r\n\r\n", b"\r\n--", b"a-boundary--"]
)


def packed(contents):
    head = b'Content-Disposition: form-data; name="%d"\r\nContent-Type: image/PNG; x=1'
    parts = (
        b"--%s\r\n%s\r\n\r\n%s\r\n" % (BOUNDARY, head % number, content)
        for number, content in enumerate(contents)
    )
    return b"".join(parts) + b"--%s--\r\n" % BOUNDARY


def parts_of(pieces, limit=1000):
    async def chunks():
        for piece in pieces:
            yield piece

    async def read():
        found = []
        async for part in read_parts(chunks(), BOUNDARY, limit=limit):
            found.append((part.name, part.content_type, part.upload.path.read_bytes()))
            part.upload.close()
        return found

    return asyncio.run(read())


@given(st.lists(CONTENTS, max_size=4), st.lists(st.integers(0, 1500), max_size=6))
def test_parts_do_not_depend_on_how_a_body_is_cut(contents, cuts):
    body = packed(contents)
    if any(b"\r\n--" + BOUNDARY in b"\r\n" + content for content in contents):
        return  # a sender chooses a boundary that does not occur
    ends = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in pairwise(ends)]
    expected = [(str(number), "image/png", content) for number, content in enumerate(contents)]
    assert parts_of(pieces) == expected


@given(st.binary(max_size=300))
def test_other_bytes_are_no_multipart(body):
    if b"--" + BOUNDARY in body:
        return
    with pytest.raises(BadRequestError):
        parts_of([body])


def test_a_body_that_is_cut_is_refused():
    body = packed([b"one", b"two"])
    for end in range(0, len(body) - 4, 3):
        with pytest.raises(BadRequestError):
            parts_of([body[:end]])


def test_a_client_that_goes_gives_its_place_back(tmp_path, caplog):
    app = create_app({"tiny": tiny_predictor(tmp_path / "tiny")})
    sent = []

    async def call(*messages):
        waiting = iter(messages)
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "raw_path": b"/predict",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "http_version": "1.1",
            "scheme": "http",
        }

        async def receive():
            return next(waiting)

        async def send(message):
            sent.append(message)

        await app(scope, receive, send)

    gone = {"type": "http.disconnect"}
    piece = {"type": "http.request", "body": b"half a film", "more_body": True}
    whole = {"type": "http.request", "body": b"a film", "more_body": False}

    async def calls():
        for _ in range(10):
            await call(piece, gone)
            await call(whole, gone)

    with caplog.at_level("INFO"):
        asyncio.run(calls())
    assert sent == []
    assert "went away" in caplog.text
