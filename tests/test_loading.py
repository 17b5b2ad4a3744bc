import os
import signal
import subprocess

import torch
from training_fixture import chain, write_films

from pipelines.training.dataset import RadiographDataset
from pipelines.training.loading import FilmLoader
from pipelines.training.sampling import EpochSampler


def epochs(films, *, num_workers, batch_size=4):
    data = RadiographDataset(films, chain(noise=True))
    data.read_all()
    sampler = EpochSampler(films, seed=3)
    loader = FilmLoader(data, sampler=sampler, batch_size=batch_size, num_workers=num_workers)
    made, processes = [], []
    for epoch in (1, 2):
        sampler.epoch = epoch
        made.append(torch.cat([batch["image"] for batch in loader]))
        workers = getattr(loader._iterator, "_workers", [])
        processes.append([worker.pid for worker in workers])
    return made, processes


def test_processes_stay_and_change_nothing_in_what_comes(tmp_path):
    films = write_films(tmp_path / "films", count=10)
    (one, two), none = epochs(films, num_workers=0)
    made, (first, second) = epochs(films, num_workers=2, batch_size=3)
    assert none == [[], []]
    assert first == second
    assert len(first) == 2
    assert torch.equal(made[0], one)
    assert torch.equal(made[1], two)
    assert not torch.equal(one, two)


def test_a_signal_that_all_processes_of_a_run_get_leaves_those_of_its_loader_to_the_run(tmp_path):
    films = write_films(tmp_path / "films", count=6)
    data = RadiographDataset(films, chain(noise=True))
    data.read_all()
    loader = FilmLoader(data, batch_size=1, num_workers=1)
    batches = iter(loader)
    seen = [next(batches)]
    (worker,) = batches._workers
    subprocess.run(["kill", "-TERM", str(worker.pid)], check=True)
    seen += batches
    assert len(seen) == 6
    assert worker.is_alive()
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(20)
    assert worker.exitcode == 0
