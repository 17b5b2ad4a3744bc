"""Awkward inputs, one case each: how to write the file and what reading it must give."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.errors import Reason
from pipelines.radiograph import Radiograph


@dataclass(frozen=True)
class Case:
    """One awkward file.

    name: unique, usable as a file name.
    write: writes the file at the path given.
    expect: the reason code; or the pixels, float32 0..1 (channel, height, width); or a function
        that looks at the radiograph and asserts.
    suffix: of the file name, with its dot; may lie.
    tolerance: largest absolute difference of a pixel from `expect`.
    """

    name: str
    write: Callable[[Path], None]
    expect: Reason | npt.NDArray[np.float32] | Callable[[Radiograph], None]
    suffix: str
    tolerance: float = 0.0

    @property
    def filename(self) -> str:
        return f"{self.name}{self.suffix}"

    def check(self, radiograph: Radiograph) -> None:
        """Assert that what was read is what the case expects."""
        assert not isinstance(self.expect, Reason), f"{self.name}: expected {self.expect}"
        if callable(self.expect):
            self.expect(radiograph)
            return
        assert radiograph.pixels.dtype == np.float32
        assert radiograph.pixels.shape == self.expect.shape
        np.testing.assert_allclose(
            radiograph.pixels, self.expect, rtol=0, atol=self.tolerance, err_msg=self.name
        )
