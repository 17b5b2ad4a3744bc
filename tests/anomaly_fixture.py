"""Films with and without something unusual, and what a network would make of them."""

import numpy as np
import torch

from pipelines.evaluation.anomaly import AnomalyCases
from pipelines.evaluation.anomaly_scores import MeasuredFilms, measure_films

SIDE = 32


def made_films(count: int, *, unusual: bool, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth films and blurred copies; unusual ones have dots that a network would not know."""
    random = np.random.default_rng([seed, unusual])
    across = np.linspace(0, 3, SIDE)
    films = []
    for _ in range(count):
        phases = random.uniform(0, 6, 2)
        film = 0.5 + 0.2 * np.sin(across + phases[0])[:, None] * np.cos(across + phases[1])
        film += random.normal(0, 0.01, film.shape)
        if unusual:
            rows, columns = random.integers(0, SIDE, (2, 12))
            film[rows, columns] = 1
        films.append(film)
    stack = torch.from_numpy(np.stack(films)[:, None].astype(np.float32)).clamp(0, 1)
    return stack, torch.nn.functional.avg_pool2d(stack, 5, 1, 2, count_include_pad=False)


def made_cases(normal: int, anomalous: int, *, seed: int = 0) -> AnomalyCases:
    """Cases of both kinds, two films a group."""
    parts = [
        measure_films(*made_films(count, unusual=unusual, seed=seed))
        for count, unusual in ((normal, False), (anomalous, True))
        if count
    ]
    count = normal + anomalous
    return AnomalyCases(
        filenames=tuple(f"films/{place} (1).png" for place in range(count)),
        groups=tuple(f"group {place // 2}" for place in range(count)),
        labels=np.array([0] * normal + [1] * anomalous, dtype=np.int64),
        measured=MeasuredFilms.joined(parts),
    )
