"""Two processes train as one would: the same films, the same figures, and they end together."""

import logging
import os
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ignite.engine import Events
from ranks_fixture import in_ranks
from torch import nn
from training_fixture import chain, small_run, write_films

from pipelines.errors import ConfigurationError, PlainfilmError, Reason, RunError
from pipelines.training import stopping
from pipelines.training.checkpoints import Checkpoints
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import build_evaluator
from pipelines.training.loading import FilmLoader
from pipelines.training.losses import BinaryLoss
from pipelines.training.metrics import build_metric
from pipelines.training.ranks import Ranks, in_turn, ranks, require_devices
from pipelines.training.sampling import EpochSampler, RankBatches, RankFilms
from pipelines.training.trainer import build_trainer


class Made(torch.utils.data.Dataset):
    """Made-up images with a class each, with masks, or to be made anew."""

    def __init__(self, count, kind="auroc"):
        random = np.random.default_rng(count)
        images = random.random((count, 1, 12, 12), dtype=np.float32)
        masks = random.integers(0, 2, images.shape)
        labels = {"auroc": np.arange(count) % 2, "dice": masks, "psnr": images[:, :, ::-1].copy()}
        self.images, self.labels = (
            torch.from_numpy(each) for each in (images - 0.5 * (kind == "dice"), labels[kind])
        )

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        index = index if isinstance(index, int) else index.film
        return {"image": self.images[index], "label": self.labels[index]}


def plain_network():
    """Without anything random, and with a layer that nothing comes of."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(200, 1))
    network[0].left_over = nn.Linear(2, 2)
    return network


def validate(count, *, kind="auroc"):
    """Metrics, logits and labels of a validation of made-up films."""
    network = plain_network() if kind == "auroc" else nn.Identity()
    films = Made(count, kind)
    evaluator = build_evaluator(
        device="cpu",
        network=network,
        val_data_loader=FilmLoader(films, batch_size=4),
        key_val_metric={f"val_{kind}": build_metric(kind)},
    )
    evaluator.run()
    return dict(evaluator.state.metrics), list(evaluator.logits), list(evaluator.labels)


def step_by_step(count, batch_size, accumulation_steps=1):
    """Weights and losses of two epochs without anything random in the network."""
    films = Made(count)
    network = plain_network()
    losses = []
    trainer = build_trainer(
        2,
        device="cpu",
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.5),
        loss_function=BinaryLoss(),
        train_data_loader=FilmLoader(
            films,
            sampler=EpochSampler([{"label": 0}] * count, balance="none"),
            batch_size=batch_size,
        ),
        amp=False,
        accumulation_steps=accumulation_steps,
    )
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output["loss"])
    )
    trainer.run()
    return network.state_dict(), losses, trainer.state.metrics["train_loss"]


def run_whole(items, folder, epochs=3):
    trainer, evaluator = small_run(items, folder, max_epochs=epochs)
    trainer.run()
    return (
        trainer.network.state_dict(),
        trainer.average.state_dict(),
        evaluator.state.best_metric_epoch,
        trainer.state.iteration,
    )


def told_to_end_at(items, folder, iteration, which):
    """End status of a run of which one process is told to end."""
    trainer, _ = small_run(items, folder, max_epochs=3)

    def tell(_engine):
        if ranks().rank == which:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.add_event_handler(Events.ITERATION_STARTED(once=iteration), tell)
    with stopping.stop_request.heeded():
        try:
            trainer.run()
        except SystemExit as ended:
            return ended.code, trainer.state.iteration


def train_on_nothing_finite(items, folder):
    trainer, _ = small_run(items, folder)
    logging.getLogger("ignite").setLevel(logging.CRITICAL)
    loss = trainer.loss_function
    broken = ranks().rank == 1
    trainer.loss_function = lambda *both: loss(*both) * (float("nan") if broken else 1)
    trainer.run()


def read_what_cannot_be_read(items):
    RadiographDataset(items, chain(noise=True)).read_all()


def read_and_look(items, cache):
    """What each process has of the films, and where it is."""
    films = RadiographDataset(items, chain(noise=True), cache_dir=cache)
    films.read_all()
    images = np.stack([*films.films()])
    mapped = isinstance(films._kept["image"], np.memmap)
    named = mapped and Path(films._kept["image"].filename).exists()
    return images, mapped, films._kept["image"].flags.writeable, named


def lose_the_other(items, folder):
    """What the first process raises when the second is killed, and after how long."""
    trainer, _ = small_run(items, folder, max_epochs=50)
    logging.getLogger("ignite").setLevel(logging.CRITICAL)
    stopping.SECONDS_TO_END = 0.1

    def kill(engine):
        engine.killed_at = time.monotonic()
        if ranks().rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    trainer.add_event_handler(Events.ITERATION_STARTED(once=4), kill)
    try:
        with stopping.lost_processes_told():
            trainer.run()
    except RunError as error:
        return error, time.monotonic() - trainer.killed_at


def everything(folder, items, broken):
    """All that needs two processes that come to their end, in one start of them."""
    told = {
        "validated": {count: validate(count) for count in (7, 1, 8)},
        "dice": {count: validate(count, kind="dice")[0] for count in (5, 1)},
        "psnr": validate(3, kind="psnr")[0],
        "steps": {key: step_by_step(*key) for key in ((9, 4), (7, 3), (8, 4, 2))},
        "whole": run_whole(items, folder / "whole"),
        "read": read_and_look(items[:5], None),
        "cached": [read_and_look(items[:5], folder / "cache") for _ in range(2)],
        "ended": told_to_end_at(items, folder / "cut", 4, which=1),
    }
    for name, run in (
        ("refused", lambda: read_what_cannot_be_read(broken)),
        ("not finite", lambda: train_on_nothing_finite(items, folder / "nan")),
    ):
        try:
            run()
        except PlainfilmError as error:
            told[name] = error
    return told


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return write_films(tmp_path_factory.mktemp("films"), count=21)


@pytest.fixture(scope="module")
def broken(films, tmp_path_factory):
    """Six films of which the second and the third cannot be read: each process has one of them."""
    folder = tmp_path_factory.mktemp("broken")
    items = [dict(item) for item in films[:6]]
    for place in (1, 2):
        path = folder / f"broken{place}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
        items[place]["image"] = str(path)
    return items


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def two(films, broken, folder):
    """What each of two processes found."""
    first, second = in_ranks(everything, folder, films, broken, folder=folder / "in")
    assert isinstance(first, dict), first
    assert isinstance(second, dict), second
    return first, second


def states_equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("count", [7, 1, 8])
def test_figures_are_those_of_one_process_with_every_film_once(two, count):
    metrics, logits, labels = validate(count)
    for each in two:
        found, told, truth = each["validated"][count]
        assert found.keys() == metrics.keys()
        for name, value in metrics.items():
            assert found[name] == pytest.approx(value, abs=1e-6), name
        assert told == pytest.approx(logits, abs=1e-6)
        assert truth == labels
        assert len(told) == count


def test_masks_and_reconstructions_are_summed_over_processes(two):
    for count, kind, name in ((5, "dice", "dice"), (1, "dice", "dice"), (3, "psnr", "psnr")):
        for each in two:
            found = each[name][count] if name == "dice" else each[name]
            for key, value in validate(count, kind=kind)[0].items():
                assert found[key] == pytest.approx(value, abs=1e-9), key


@pytest.mark.parametrize("key", [(9, 4), (7, 3), (8, 4, 2)], ids=str)
def test_steps_are_those_of_one_process(two, key):
    """Batches of odd size, a last one that only one process has a film of, gradients summed."""
    weights, losses, mean = step_by_step(*key)
    for each in two:
        found, told, told_mean = each["steps"][key]
        assert told == pytest.approx(losses, abs=1e-6)
        assert told_mean == pytest.approx(mean, abs=1e-6)
        for name, value in weights.items():
            assert torch.allclose(found[name], value, atol=1e-6), name


def test_processes_have_the_same_weights_statistics_and_average(two, folder):
    first, second = (each["whole"] for each in two)
    assert states_equal(first[0], second[0])
    assert states_equal(first[1], second[1])
    assert first[2:] == second[2:]
    assert len((folder / "whole" / "log.csv").read_text().splitlines()) == 4
    assert len([*(folder / "whole").glob("events*")]) == 1
    kept = torch.load(folder / "whole" / "checkpoints" / "last.pt", weights_only=True)
    assert states_equal(kept["network"], first[0])
    assert not any(name.startswith("module.") for name in kept["network"])


def test_films_are_read_once_a_machine_and_shared(two, films, folder):
    alone = RadiographDataset(films[:5], chain(noise=True))
    alone.read_all()
    expected = np.stack([*alone.films()])
    for each in two:
        images, mapped, _, named = each["read"]
        assert np.array_equal(images, expected)
        assert mapped
        assert not named, "nothing of it is left, however the run ends"
        for images, mapped, _, _ in each["cached"]:
            assert np.array_equal(images, expected)
            assert mapped
    assert not two[1]["cached"][1][2], "found on disk the second time"
    assert len([*(folder / "cache").glob("*/complete.json")]) == 1


def test_films_that_cannot_be_read_are_told_whoever_read_them(two):
    for each in two:
        refusal = each["refused"]
        assert "2 of 6 are not (broken1.png" in str(refusal)
        assert "broken2.png" in str(refusal)
    assert str(two[0]["refused"]) == str(two[1]["refused"])


def test_a_loss_that_is_not_finite_in_one_process_ends_all(two):
    assert {each["not finite"].reason for each in two} == {Reason.NOT_FINITE}


def test_one_process_that_is_told_to_end_ends_all_behind_the_same_batch(two, films, folder):
    assert [each["ended"] for each in two] == [(143, 4), (143, 4)]
    state = torch.load(folder / "cut" / "checkpoints" / "last.pt", weights_only=True)
    assert (state["epoch"], state["within_epoch"]["batches"]) == (1, 1)
    assert len(state["within_epoch"]["random"]) == 2


def test_a_run_goes_on_with_another_number_of_processes_and_with_the_same(two, films, folder):
    shutil.copytree(folder / "cut", folder / "again")
    one = run_whole(films, folder / "cut")
    assert one[3] == 9
    assert len((folder / "cut" / "log.csv").read_text().splitlines()) == 4
    again = in_ranks(run_whole, films, folder / "again", folder=folder / "in-again")
    assert states_equal(again[0][0], two[0]["whole"][0]), "as if nothing had been"
    assert states_equal(again[0][1], two[0]["whole"][1])


def test_a_process_that_is_killed_ends_the_other_with_its_reason(films, tmp_path):
    first, second = in_ranks(lose_the_other, films, tmp_path / "run", folder=tmp_path / "in")
    assert second is None
    refusal, seconds = first
    assert refusal.reason is Reason.PROCESS_LOST
    assert "another one has ended" in str(refusal)
    assert seconds < 30


def test_a_checkpoint_of_another_network_is_refused_and_a_lost_process_is_none(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(stopping.stop_request, "training", False)
    torch.save({"network": {}}, tmp_path / "last.pt")
    trainer = SimpleNamespace(state=SimpleNamespace(device="cpu"), network=nn.Linear(2, 2))
    checkpoints = Checkpoints(tmp_path, evaluator=None)
    with pytest.raises(RunError, match="use a new output_dir"):
        checkpoints.resume(trainer)

    def lose(*_):
        raise RuntimeError("gloo: Connection closed by peer")

    monkeypatch.setattr(Ranks, "from_main", lose)
    with pytest.raises(RuntimeError, match="Connection closed"):
        checkpoints.resume(trainer)


sizes = st.integers(1, 6)


@given(st.integers(0, 40), sizes, sizes, st.integers(0, 3))
def test_batches_are_shared_out_without_loss(count, batch_size, size, epoch):
    sampler = EpochSampler([{"label": 0}] * count, balance="none")
    sampler.epoch = epoch
    draws = list(sampler)
    parts = [
        RankBatches(sampler, batch_size=batch_size, group=Ranks(rank, size)) for rank in range(size)
    ]
    batches = [list(part) for part in parts]
    assert {len(each) for each in batches} == {len(parts[0])} == {-(-count // batch_size)}
    for place in range(len(parts[0])):
        own = [
            batch[place] if part.share(place) else []
            for part, batch in zip(parts, batches, strict=True)
        ]
        whole = draws[place * batch_size : (place + 1) * batch_size]
        assert in_turn(own) == whole
        assert sum(part.share(place) for part in parts) == pytest.approx(1)
        assert all(batch[place] for batch in batches), "each takes part in the step"


@given(st.integers(0, 40), sizes)
def test_films_are_shared_out_once_each(count, size):
    parts = [RankFilms(count, group=Ranks(rank, size)) for rank in range(size)]
    assert in_turn([list(each) for each in parts if not each.stand_in]) == [*range(count)]
    assert all(len(part) for part in parts) or count == 0


@pytest.mark.parametrize(
    ("device", "there", "said"),
    [
        ("cuda:1", 4, "got 'cuda:1', which they would share"),
        ("cuda", 1, "a GPU for each of 2 processes, this machine has 1"),
        ("auto", 1, "a GPU for each of 2 processes, this machine has 1"),
    ],
)
def test_more_processes_than_devices_are_refused(device, there, said, monkeypatch):
    place = torch.device("cuda" if device == "auto" else device)
    monkeypatch.setattr("pipelines.training.ranks.pick_device", lambda _: place)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    with pytest.raises(ConfigurationError, match=said):
        require_devices(device, 2)
    assert require_devices("cuda", there) == "cuda"


def test_the_one_gpu_of_a_mac_is_not_shared(monkeypatch):
    monkeypatch.setattr("pipelines.training.ranks.pick_device", torch.device)
    with pytest.raises(ConfigurationError, match="got 'mps', which they would share"):
        require_devices("mps", 2)


def test_fewer_films_in_a_batch_than_processes_are_refused(monkeypatch):
    monkeypatch.setattr("pipelines.training.loading.ranks", lambda: Ranks(3, 8))
    sampler = EpochSampler([{"label": 0}] * 20, balance="none")
    with pytest.raises(ConfigurationError, match="a film for each of 8 processes, got 4"):
        FilmLoader(Made(20), sampler=sampler, batch_size=4)
    with pytest.raises(ConfigurationError, match="an EpochSampler for 8 processes, got range"):
        FilmLoader(Made(20), sampler=range(20), batch_size=8)
    assert len(FilmLoader(Made(20), sampler=sampler, batch_size=8)) == 3
    assert len(FilmLoader(Made(20), batch_size=8).sampler) == 3


def test_processes_on_a_cpu_need_no_devices():
    assert require_devices("cpu", 64) == "cpu"
