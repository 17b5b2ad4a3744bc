"""How long work shows that it goes on: a bar on a terminal, plain lines elsewhere; quiet logs."""

import logging
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sized
from typing import TextIO, TypeVar

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0

_shown = True


def show_progress(*, shown: bool) -> None:
    """Let this process show how far it is, or be silent: of several, one shows it for all."""
    global _shown  # noqa: PLW0603 - a setting of the process
    _shown = shown


def progress(
    items: Iterable[Item],
    description: str,
    *,
    total: int | None = None,
    unit: str = "film",
    stream: TextIO | None = None,
) -> Iterator[Item]:
    """Hand out `items` one by one and show how far they are.

    On a terminal a bar is drawn; elsewhere a line comes about every ten seconds and one at the end,
    so that log files stay short.

    Args:
        items: What is worked on.
        description: What is done, as a present participle: `predicting`.
        total: Number of items; by default the length of `items` where it has one.
        unit: What one item is, in the singular.
        stream: Where to show it; standard error by default.

    Yields:
        The items, in order.
    """
    if not _shown:
        yield from items
        return
    stream = stream or sys.stderr
    if total is None and isinstance(items, Sized):
        total = len(items)
    if stream.isatty():
        from tqdm import tqdm

        yield from tqdm(items, description, total=total, unit=f" {unit}", file=stream)
    else:
        yield from _lines(items, description, total=total, unit=unit, stream=stream)


def _lines(
    items: Iterable[Item], description: str, *, total: int | None, unit: str, stream: TextIO
) -> Iterator[Item]:
    started = said = time.monotonic()
    count = 0
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said >= SECONDS_BETWEEN_LINES:
            said = now
            _say(stream, f"{description}: {count}{f' of {total}' if total else ''} {unit}s")
    seconds = max(time.monotonic() - started, 1e-9)
    _say(
        stream,
        f"{description}: {count} {unit}s in {seconds:.1f} s ({count / seconds:.1f} a second)",
    )


def _say(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()


def configure_logging(*, debug: bool = False) -> None:
    """Log warnings and errors as single lines on standard error, without what is no news.

    MONAI says for every image loader that an optional NVIDIA codec is absent, and for every bundle
    that a configuration may run code. The first is irrelevant here: no MONAI reader is used. The
    second is answered: the static check lets only a short list of expressions and installed
    targets through, and this is called after it.

    Args:
        debug: Show the information lines too.
    """
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(message)s")
    logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)
    logging.getLogger("monai.bundle.workflows").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=r".*nvImageCodec.*")
    warnings.filterwarnings("ignore", message=r".*NvImgCodecPydicomReader.*")
    warnings.filterwarnings("ignore", message=r"parsing config_file .*")
