"""Two processes that train together against one that trains alone.

The two are started once, by running this file; they write what they saw, and the tests read it.
"""

import os
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from melodyconstraints.cli import main as cli
from melodyconstraints.errors import UsageError
from melodyconstraints.melody.vae.config import PRESETS
from melodyconstraints.melody.vae.training import ElboSettings, train_melody_vae
from melodyconstraints.vae import checkpoints, distributed, training
from melodyconstraints.vae.distributed import Processes, processes
from melodyconstraints.vae.state import TrainingState
from melodyconstraints.vae.training import Objective, TrainingSettings, train
from melodyconstraints.workflows import train_vae
from melodyconstraints.workflows.models import load_model

PATIENCE_SECONDS = 500
"""Never used up unless a process waits for the other for ever."""
TOLERANCE = {"atol": 2e-4, "rtol": 0}
"""A fifth of one step of Adam, of which there are 24. Two processes sum gradients in another order
than one, and Adam, which divides by their size, makes rounding of a tiny gradient count: one
process with other thread counts and vector units is off by up to 0.00004."""
SETTINGS = TrainingSettings(
    steps=24,
    batch_size=4,
    learning_rate=1e-3,
    warmup_steps=3,
    ema_decay=0.9,
    precision="float32",
    evaluate_every=12,
    checkpoint_every=5,
)
KILLED, KEPT = 17, 15
FREE_NATS = 10.1
"""Between the divergences of the two processes' melodies at several of the steps."""


# What is done by one process, or by each of two


def train_melodies(
    place: Processes,
    given: SimpleNamespace,
    folder: Path | None,
    *,
    free_nats: float = 0.0,
    **options,
) -> dict[str, object]:
    """Half of the steps on bars, half on melodies."""
    seen = []
    model, state = train_melody_vae(
        given.config,
        given.events,
        given.sources,
        given.events[:2],
        SETTINGS,
        elbo=ElboSettings(bars_share=0.5, free_nats=free_nats),
        processes=place,
        folder=folder,
        callback=options.pop("callback", lambda state: seen.append(state.step)),
        **options,
    )
    return {
        "weights": model.state_dict(),
        "called at": seen,
        "measured at": [point["step"] for point in state.curves],
        "step": state.step,
    }


class Line(Objective):
    """Squared error of a line; its weights are set halfway, in every process otherwise."""

    noise_size = 1

    def __init__(self, model: nn.Linear, rank: int) -> None:
        super().__init__()
        self.model, self.rank, self.told, self.rows = model, rank, [], []

    def prepare(self, since, progress):
        if not since < 0.5 <= progress:
            return False
        self.model.weight.data.fill_(5.0 + self.rank)
        return True

    def forward(self, batch, progress, noise):
        self.told.append(progress)
        self.rows.append(torch.cat([batch, noise], 1))
        return {"loss": (self.model(batch) - batch.sum(1, keepdim=True) - noise).square().mean()}


def batch_at(step: int) -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(step))


def train_a_line(place: Processes, folder: Path) -> dict[str, object]:
    """From other weights in every process; it is measured slowly."""
    torch.manual_seed(place.rank)
    model = nn.Linear(3, 1)
    objective = Line(model, place.rank)
    settings = TrainingSettings(steps=12, ema_decay=0.9, warmup_steps=2, precision="float32")
    train(
        model,
        objective,
        batch_at,
        settings,
        processes=place,
        folder=folder,
        evaluate=lambda measured: time.sleep(0.3) or {},
    )
    return {
        "weights": model.state_dict(),
        "rows": objective.rows,
        "checkpoints": [entry.name for entry in folder.glob("step-*")],
    }


def train_by_the_clock(place: Processes) -> dict[str, object]:
    """Nine seconds on a clock that goes on with every look, the faster the higher the rank."""
    seconds = iter(range(0, 10**6, 1 + 2 * place.rank))
    objective = Line(nn.Linear(3, 1), 0)
    settings = TrainingSettings(time_budget_seconds=9.0, precision="float32")
    real, training.time = training.time, SimpleNamespace(monotonic=lambda: float(next(seconds)))
    try:
        state = train(objective.model, objective, batch_at, settings, processes=place)
    finally:
        training.time = real
    return {"step": state.step, "told": objective.told}


def talk(place: Processes, folder: Path) -> dict[str, object]:
    """Every way of telling each other something."""
    torch.manual_seed(place.rank)
    module = nn.BatchNorm1d(3)
    nn.init.normal_(module.weight)
    module.running_mean.fill_(place.rank)
    place.share(module)
    if not place.first:
        time.sleep(0.3)
        (folder / "here").touch()
    place.wait()
    come = (folder / "here").exists()
    return {
        "agreed": place.agree(place.rank + 0.25),
        "mean": place.mean(torch.tensor([3.0, 5.0]) * place.rank),
        "shared": module.state_dict(),
        "all have come": come,
    }


def train_by_command(given: SimpleNamespace, output: Path) -> str | None:
    """``mc train-vae`` on a tiny preset, with a tiny bank; how it failed."""
    PRESETS["small"], train_vae.BANKED = given.config, 4
    words = ["train-vae", str(given.store), "-o", str(output), "--batch-size", "4", "--steps", "2"]
    try:
        cli.main([*words, "--precision", "float32"], standalone_mode=False)
    except Exception as error:
        return repr(error)
    return None


def help_out(folder: Path) -> None:
    """What each of the two processes does."""
    given = pickle.loads((folder / "given.pickle").read_bytes())  # noqa: S301
    with processes("cpu", SETTINGS.batch_size) as (place, device):
        seen = {
            "place": (place.rank, place.count, device),
            "talk": talk(place, folder),
            "line": train_a_line(place, folder / "line"),
            "clock": train_by_the_clock(place),
            "melodies": train_melodies(place, given, folder / "melodies"),
            "free bits": train_melodies(place, given, None, free_nats=FREE_NATS),
            "resumed": train_melodies(place, given, folder / "resumed", resume=True),
        }
    os.environ["MASTER_PORT"] = os.environ["NEXT_MASTER_PORT"]
    seen["command"] = train_by_command(given, folder / "model")
    (folder / f"{place.rank}.pickle").write_bytes(pickle.dumps(seen))


# Starting them


class KilledError(Exception):
    """Stands for a kill from outside."""


def kill(state: TrainingState) -> None:
    if state.step == KILLED:
        raise KilledError


def free_ports(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start_two(folder: Path) -> None:
    """As ``torchrun --nproc-per-node 2`` does."""
    port, next_port = free_ports(2)
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    common = os.environ | {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "NEXT_MASTER_PORT": next_port,
        "GLOO_SOCKET_IFNAME": loopback,
        "OMP_NUM_THREADS": "1",
    }
    logs = [folder / f"{rank}.log" for rank in range(2)]
    running = []
    for rank, log in enumerate(logs):
        with log.open("wb") as output:
            running.append(
                subprocess.Popen(
                    [sys.executable, __file__, folder],
                    env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
    try:
        codes = [process.wait(PATIENCE_SECONDS) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert codes == [0, 0], "\n".join(log.read_text() for log in logs)


@pytest.fixture(scope="module")
def given(tiny_config, some_melodies, tiny_store) -> SimpleNamespace:
    """What every process is given."""
    sources = some_melodies.events[:, 0].astype(object)
    return SimpleNamespace(
        config=tiny_config, events=some_melodies.events, sources=sources, store=tiny_store
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def alone(given, folder) -> dict[str, object]:
    """What one process saw, on one thread like each of the two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return see_alone(given, folder)
    finally:
        torch.set_num_threads(threads)


def see_alone(given: SimpleNamespace, folder: Path) -> dict[str, object]:
    with torch.random.fork_rng():
        return {
            "line": train_a_line(Processes(), folder / "line alone"),
            "melodies": train_melodies(Processes(), given, folder / "alone"),
            "free bits": train_melodies(Processes(), given, None, free_nats=FREE_NATS),
        }


@pytest.fixture(scope="module")
def both(given, folder) -> list[dict[str, object]]:
    """What each of the two processes saw."""
    with torch.random.fork_rng(), pytest.raises(KilledError):
        train_melodies(Processes(), given, folder / "resumed", callback=kill)
    assert [entry.name for entry in (folder / "resumed").glob("step-*")] == [f"step-{KEPT:09d}"]
    (folder / "given.pickle").write_bytes(pickle.dumps(given))
    start_two(folder)
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(2)]  # noqa: S301


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name, **TOLERANCE)


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name, one in expected.items() if not torch.equal(found[name], one)] == []


# Two processes


def test_every_process_knows_its_place(both):
    assert [seen["place"] for seen in both] == [(0, 2, "cpu"), (1, 2, "cpu")]


def test_all_agree_with_the_first_and_have_its_weights_and_buffers(both):
    first, second = (seen["talk"] for seen in both)
    assert first["agreed"] == second["agreed"] == 0.25
    assert_equal(second["shared"], first["shared"])
    assert not first["shared"]["running_mean"].any()


def test_all_have_the_mean_of_all(both):
    assert [seen["talk"]["mean"].tolist() for seen in both] == [[1.5, 2.5]] * 2


def test_no_process_goes_on_before_all_have_come(both):
    assert all(seen["talk"]["all have come"] for seen in both)


def test_a_training_ends_for_all_when_the_last_checkpoint_is_written(both):
    assert [seen["line"]["checkpoints"] for seen in both] == [["step-000000012"]] * 2


def test_two_processes_have_the_rows_and_the_noise_of_one(both, alone):
    first, second = (seen["line"]["rows"] for seen in both)
    for step, rows in enumerate(alone["line"]["rows"]):
        together = torch.cat([first[step], second[step]])
        assert sorted(together.tolist()) == sorted(rows.tolist())


def test_processes_that_start_with_other_weights_train_the_first_ones(both, alone):
    first, second = (seen["line"]["weights"] for seen in both)
    assert_equal(second, first)
    assert_close(first, alone["line"]["weights"])


def test_two_processes_train_the_melody_vae_of_one(both, alone):
    first, second = (seen["melodies"]["weights"] for seen in both)
    assert_equal(second, first)
    assert_close(first, alone["melodies"]["weights"])


def test_the_free_bits_of_two_processes_are_those_of_one(both, alone):
    first, second = (seen["free bits"]["weights"] for seen in both)
    assert_equal(second, first)
    assert_close(first, alone["free bits"]["weights"])


def test_the_checkpoint_of_two_processes_is_that_of_one(both, alone, folder):
    found, expected = (
        checkpoints.safetensors.torch.load_file(
            folder / name / f"step-{SETTINGS.steps:09d}" / checkpoints.STATE
        )
        for name in ("melodies", "alone")
    )
    assert {"encoder.head.weight", "average.encoder.head.weight"} < expected.keys()
    assert_close(found, expected)


def test_two_processes_go_on_with_the_training_of_one(both, alone):
    first, second = (seen["resumed"] for seen in both)
    assert first["called at"] == list(range(KEPT + 1, SETTINGS.steps + 1))
    assert_equal(second["weights"], first["weights"])
    assert_close(first["weights"], alone["melodies"]["weights"])


def test_only_the_first_process_measures_and_calls(both):
    first, second = (seen["melodies"] for seen in both)
    assert first["called at"] == list(range(1, SETTINGS.steps + 1))
    assert first["measured at"] == [12, 24]
    assert (second["called at"], second["measured at"]) == ([], [])
    assert first["step"] == second["step"] == SETTINGS.steps


def test_the_first_processs_clock_ends_the_training_of_all(both):
    first, second = (seen["clock"] for seen in both)
    assert first == second
    assert first["step"] == 9
    assert first["told"] == pytest.approx([step / 9 for step in range(9)])


def test_the_command_trains_with_two_processes_and_speaks_with_one_voice(both, folder, given):
    assert [seen["command"] for seen in both] == [None, None]
    assert load_model(folder / "model").config == given.config
    first, second = ((folder / f"{rank}.log").read_text() for rank in range(2))
    assert "held-out melodies" in first
    assert "model in " in first
    assert "model in " not in second
    assert "0%" not in second


# One process


def test_one_process_needs_no_company(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with processes("cuda", 3) as found:
        assert found == (Processes(0, 1), "cuda")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with processes("cpu", 3) as found:
        assert found == (Processes(0, 1), "cpu")


def test_for_one_process_there_is_nothing_to_share(alone):
    place, module, batch = Processes(), nn.Linear(2, 1), torch.arange(5)
    place.share(module)
    place.wait()
    assert place.first
    assert place.agree(0.5) == 0.5
    assert place.mean(torch.tensor(0.5)) == 0.5
    assert place.wrap(module) is module
    assert torch.equal(place.rows(batch), batch)


def test_rows_are_shared_out_without_rest():
    batch = torch.arange(24).reshape(12, 2)
    shares = [Processes(rank, 3).rows(batch) for rank in range(3)]
    assert [len(share) for share in shares] == [4, 4, 4]
    assert sorted(torch.cat(shares).tolist()) == batch.tolist()
    assert [Processes(rank, 3).first for rank in range(3)] == [True, False, False]


@pytest.mark.parametrize(("batch_size", "count"), [(3, 2), (8, 3), (1, 2)])
def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch, batch_size, count):
    monkeypatch.setenv("WORLD_SIZE", str(count))
    message = f"a batch of {batch_size} cannot be shared by {count} processes evenly"
    with pytest.raises(UsageError, match=message), processes("cpu", batch_size):
        pass


@pytest.fixture
def group(monkeypatch) -> list[object]:
    """What is asked of PyTorch in the second of two processes."""
    asked: list[object] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(distributed.dist, "init_process_group", asked.append)
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: asked.append("end"))
    monkeypatch.setattr(torch.cuda, "set_device", asked.append)
    return asked


def test_every_process_has_a_gpu_of_its_own(group):
    with processes("cuda", 4) as found:
        assert found == (Processes(1, 2), "cuda:1")
        assert group == ["cuda:1", "nccl"]
    assert group[2:] == ["end"]


def test_processors_talk_by_gloo_and_part_when_one_fails(group):
    def fail() -> None:
        with processes("cpu", 4) as found:
            assert found == (Processes(1, 2), "cpu")
            raise KilledError

    with pytest.raises(KilledError):
        fail()
    assert group == ["gloo", "end"]


if __name__ == "__main__":
    help_out(Path(sys.argv[1]))
