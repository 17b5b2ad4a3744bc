"""How often something happens."""

import numpy as np


def happens(random: np.random.Generator, share: float) -> bool:
    """Draw whether something happens that does in a share (0 to 1) of all cases."""
    return bool(random.random() < share)
