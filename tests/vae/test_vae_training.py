"""The training loop: its schedule, its checkpoints, and a kill in the middle."""

import json
import math
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError
from scipy import stats
from torch import nn

from melodyconstraints.errors import ArtifactError, StoreError, TrainingError, UsageError
from melodyconstraints.vae import checkpoints, training
from melodyconstraints.vae.precision import has_bfloat16
from melodyconstraints.vae.training import Objective, TrainingSettings, train

FAILURES = 1e-6
"""Failure rate of a statistical test; the seeds are fixed, so it passes always or never."""
TWELVE = TrainingSettings(
    steps=12,
    batch_size=4,
    learning_rate=0.05,
    final_learning_rate_fraction=0.1,
    warmup_steps=3,
    precision="float32",
    evaluate_every=4,
    checkpoint_every=3,
    seed=5,
)


class KilledError(Exception):
    """Stands for a kill from outside."""


def line():
    torch.manual_seed(1)
    return nn.Linear(3, 1)


def batch_at(step):
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(999_000 + step))


class Given(Objective):
    """A loss, and what is done before a step, given as functions."""

    def __init__(self, model, loss, prepare=lambda since, progress: False, noise_size=1):
        super().__init__()
        self.model, self.noise_size = model, noise_size
        self._loss, self._prepare = loss, prepare

    def prepare(self, since, progress):
        return self._prepare(since, progress)

    def forward(self, batch, progress, noise):
        return self._loss(batch, progress, noise)


def objective_of(model, **options):
    """Squared error with noise of the loop's own generator."""

    def loss(batch, progress, noise):
        error = (model(batch) - batch.sum(-1, keepdim=True) - noise).square().mean()
        return {"loss": error * (1 + progress), "error": error}

    return Given(model, loss, **options)


def run(settings=TWELVE, model=None, prepare=lambda since, progress: False, **options):
    model = model or line()
    objective = objective_of(model, prepare=prepare)
    state = train(model, objective, batch_at, settings, **options)
    return model, state


def kill_at(step, error=KilledError):
    def callback(state):
        if state.step == step:
            raise error

    return callback


def without_time(curves):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in curves]


def folders(path):
    return sorted(entry.name for entry in path.iterdir() if entry.name != "lock")


@pytest.mark.parametrize(
    ("step", "progress", "expected"),
    [
        (0, 0.0, 0.25),
        (1, 0.0, 0.5),
        (3, 0.0, 1.0),
        (4, 0.0, 1.0),
        (50, 0.5, 0.55),
        (1, 0.5, 0.275),
        (75, 0.75, 0.1 + 0.9 * (1 - math.sqrt(0.5)) / 2),
        (100, 1.0, 0.1),
    ],
)
def test_the_rate_rises_on_a_line_and_falls_along_a_cosine(step, progress, expected):
    settings = TrainingSettings(
        steps=100, learning_rate=1.0, final_learning_rate_fraction=0.1, warmup_steps=4
    )
    assert settings.rate(step, progress) == pytest.approx(expected)


def test_without_warm_up_the_rate_begins_at_its_full_value():
    settings = TrainingSettings(steps=100, learning_rate=1.0, warmup_steps=0)
    assert settings.rate(0, 0.0) == 1.0


def test_progress_counts_steps_or_seconds():
    by_steps = TrainingSettings(steps=50)
    assert [by_steps.progress(step, 1e9) for step in (0, 25, 50, 60)] == [0, 0.5, 1, 1]
    by_time = TrainingSettings(time_budget_seconds=50)
    assert [by_time.progress(10**9, seconds) for seconds in (0, 25, 50, 60)] == [0, 0.5, 1, 1]


@pytest.mark.parametrize("limits", [{}, {"steps": 5, "time_budget_seconds": 5.0}])
def test_neither_both_nor_none_of_steps_and_time_are_accepted(limits):
    with pytest.raises(UsageError, match="give either steps or a time budget"):
        TrainingSettings(**limits)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match="one of auto, bfloat16, float32, got 'float8'"):
        TrainingSettings(steps=1, precision="float8")


def test_the_first_step_of_adam_is_as_long_as_the_scheduled_rate():
    before = line().weight.detach()
    one = TrainingSettings(steps=1, learning_rate=0.06, warmup_steps=3, precision="float32")
    model, _ = run(one)
    torch.testing.assert_close((model.weight.detach() - before).abs(), torch.full((1, 3), 0.02))


def test_a_training_finds_the_sum_of_its_inputs():
    settings = TrainingSettings(
        steps=1000, learning_rate=0.03, warmup_steps=1, precision="float32"
    )
    model, state = run(settings)
    # Least squares on 4000 points with unit noise errs by 0.016; Adam adds its own.
    torch.testing.assert_close(model.weight.detach(), torch.ones(1, 3), atol=0.2, rtol=0)
    assert (state.step, state.progress) == (1000, 1.0)


STEEP = 1e6 * math.hypot(batch_at(0).sum(0).norm(), 4)  # of weights and bias


@pytest.mark.parametrize(("clip", "expected"), [(0.5, 0.5), (0.0, STEEP)])
def test_gradients_are_clipped_where_there_is_a_limit(clip, expected):
    model = line()

    def steep(batch, progress, noise):
        return {"loss": 1e6 * model(batch).sum()}

    settings = TrainingSettings(steps=1, gradient_clip=clip, precision="float32")
    train(model, Given(model, steep), batch_at, settings)
    norm = torch.stack([parameter.grad.norm() for parameter in model.parameters()]).norm()
    assert norm.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto"])
def test_matrix_products_run_in_the_precision_that_was_asked_for(precision):
    model, seen = line(), []

    def loss(batch, progress, noise):
        output = model(batch)
        seen.append(output.dtype)
        return {"loss": output.float().mean()}

    train(model, Given(model, loss), batch_at, TrainingSettings(steps=1, precision=precision))
    if precision == "auto":
        precision = "bfloat16" if has_bfloat16(torch.device("cpu")) else "float32"
    assert seen == [getattr(torch, precision)]
    assert model.weight.dtype == torch.float32


def noise_of(settings, noise_size=2):
    """The noise of every step, ``(steps, B, noise_size)``."""
    model, drawn = line(), []

    def loss(batch, progress, noise):
        drawn.append(noise)
        return {"loss": model(batch).mean()}

    train(model, Given(model, loss, noise_size=noise_size), batch_at, settings)
    return torch.stack(drawn)


def test_every_step_and_every_seed_has_noise_of_its_own():
    first, other, again = (noise_of(TrainingSettings(steps=4, seed=n)) for n in (0, 1, 0))
    assert len(torch.cat([first, other]).unique()) == 2 * 4 * 4 * 2
    assert torch.equal(first, again)


def test_noise_is_standard_normal_for_every_data_point():
    noise = noise_of(TrainingSettings(steps=2), noise_size=500)
    assert noise.shape == (2, 4, 500)
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > FAILURES


def test_the_objective_is_told_of_every_step_before_it_is_made():
    told = []
    model = line()

    def loss(batch, progress, noise):
        told.append(("loss", progress))
        return {"loss": model(batch).mean()}

    def prepare(since, progress):
        told.append(("prepare", since, progress))
        return False

    train(model, Given(model, loss, prepare), batch_at, TrainingSettings(steps=3))
    assert told == [
        *[("prepare", -1, 0), ("loss", 0)],
        *[("prepare", 0, 1 / 3), ("loss", 1 / 3)],
        *[("prepare", 1 / 3, 2 / 3), ("loss", 2 / 3)],
    ]


def test_a_resumed_training_knows_what_was_prepared_before(tmp_path):
    told = []

    def prepare(since, progress):
        told.append((since, progress))
        return False

    with pytest.raises(KilledError):
        run(folder=tmp_path, callback=kill_at(8))
    run(prepare=prepare, folder=tmp_path, resume=True)
    assert told == [(step / 12, (step + 1) / 12) for step in range(5, 11)]


def test_an_objective_prepares_nothing_and_has_no_loss_unless_it_says_so():
    assert not Objective().prepare(-1, 0.5)
    with pytest.raises(NotImplementedError):
        Objective()(torch.zeros(1), 0.5, torch.zeros(1, 1))


def test_evaluations_go_into_the_curves_with_the_metrics_of_the_step():
    seen = []
    _, state = run(
        TrainingSettings(steps=5, evaluate_every=2, warmup_steps=1, precision="float32"),
        evaluate=lambda measured: {"quality": 0.5},
        callback=lambda state: seen.append((state.step, state.latest["error"])),
    )
    assert [(row["step"], row["error"]) for row in state.curves] == [seen[1], seen[3], seen[4]]
    assert all(row["quality"] == 0.5 and row["seconds"] > 0 for row in state.curves)
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("average", "killed", "kept", "error"),
    [
        (0.0, 8, 6, KilledError),
        (0.9, 8, 6, KilledError),
        (0.9, 11, 9, KilledError),
        (0.9, 14, 12, KilledError),
        (0.9, 14, 14, KeyboardInterrupt),
    ],
)
def test_a_run_that_was_killed_and_resumed_repeats_the_run_that_was_not(
    tmp_path, average, killed, kept, error
):
    settings = replace(TWELVE, steps=24, ema_decay=average)
    options = {"evaluate": lambda measured: {"quality": float(measured.bias.detach())}}
    whole, uninterrupted = run(settings, folder=tmp_path / "whole", **options)
    with pytest.raises(error):
        run(settings, folder=tmp_path / "cut", callback=kill_at(killed, error), **options)
    assert folders(tmp_path / "cut") == [f"step-{kept:09d}"]
    torch.manual_seed(77)
    fresh = nn.Linear(3, 1)
    model, resumed = run(settings, fresh, folder=tmp_path / "cut", resume=True, **options)
    assert torch.equal(model.weight, whole.weight)
    assert torch.equal(model.bias, whole.bias)
    assert without_time(resumed.curves) == without_time(uninterrupted.curves)
    assert (resumed.step, resumed.latest) == (24, uninterrupted.latest)
    first, second = (
        (tmp_path / name / "step-000000024" / checkpoints.STATE).read_bytes()
        for name in ("whole", "cut")
    )
    assert first == second


@pytest.mark.parametrize(("place", "kept"), [("loss", 2), ("optimizer", None)])
def test_an_interrupted_training_keeps_a_step_whole_or_not_at_all(
    tmp_path, monkeypatch, place, kept
):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    def callback(state):
        if state.step == 2:
            if place == "optimizer":
                monkeypatch.setattr(torch.optim.Adam, "step", interrupt)
            else:
                monkeypatch.setattr(Given, "forward", interrupt)

    with pytest.raises(KeyboardInterrupt):
        run(folder=tmp_path, callback=callback)
    assert folders(tmp_path) == ([] if kept is None else [f"step-{kept:09d}"])


def test_a_longer_training_goes_on_where_the_shorter_one_ended(tmp_path):
    run(folder=tmp_path)
    seen = []
    longer = TrainingSettings(steps=24, precision="float32", checkpoint_every=6)
    _, state = run(
        longer,
        folder=tmp_path,
        resume=True,
        callback=lambda state: seen.append((state.step, state.progress)),
    )
    assert seen[0] == (13, 13 / 24)
    assert state.step == 24


def test_what_the_objective_has_learned_a_longer_budget_does_not_set_back(tmp_path):
    run(folder=tmp_path)
    told = []
    model = line()

    def loss(batch, progress, noise):
        told.append(("loss", progress))
        return {"loss": model(batch).mean()}

    def prepare(since, progress):
        told.append(("prepare", since, progress))
        return False

    settings = TrainingSettings(steps=26, precision="float32")
    train(model, Given(model, loss, prepare), batch_at, settings, folder=tmp_path, resume=True)
    reached = 11 / 12  # before the last step of the shorter training, and before 23.8 of 26
    shares = [max(reached, step / 26) for step in range(12, 26)]
    assert shares[:12] == [reached] * 12
    before = [reached, *shares]
    assert told == [
        entry
        for since, share in zip(before, shares, strict=False)
        for entry in (("prepare", since, share), ("loss", share))
    ]


def test_resuming_without_a_checkpoint_starts_anew(tmp_path):
    model, _ = run(folder=tmp_path / "empty", resume=True)
    assert torch.equal(model.weight, run()[0].weight)


def test_without_resume_an_old_checkpoint_is_not_used(tmp_path):
    run(folder=tmp_path)
    _, state = run(TrainingSettings(steps=3, precision="float32"), folder=tmp_path)
    assert state.step == 3
    assert folders(tmp_path) == ["step-000000003"]


def test_only_the_newest_checkpoint_is_kept(tmp_path):
    run(folder=tmp_path)
    assert folders(tmp_path) == ["step-000000012"]
    assert folders(tmp_path / "step-000000012") == [checkpoints.PROGRESS, checkpoints.STATE]


def test_a_checkpoint_that_was_being_written_is_ignored(tmp_path):
    with pytest.raises(KilledError):
        run(folder=tmp_path, callback=kill_at(5))
    partial = tmp_path / ".step-000000006"
    partial.mkdir()
    (partial / checkpoints.STATE).write_bytes(b"half of it")
    model, _ = run(folder=tmp_path, resume=True)
    assert torch.equal(model.weight, run()[0].weight)
    assert folders(tmp_path) == ["step-000000012"]


def test_a_kill_while_writing_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    save = checkpoints.safetensors.torch.save_file

    def die_at_six(tensors, path):
        if "000000006" in str(path):
            raise KilledError
        save(tensors, path)

    monkeypatch.setattr(checkpoints.safetensors.torch, "save_file", die_at_six)
    with pytest.raises(KilledError):
        run(folder=tmp_path)
    monkeypatch.undo()
    assert [name for name in folders(tmp_path) if name.startswith("step")] == ["step-000000003"]
    model, _ = run(folder=tmp_path, resume=True)
    assert torch.equal(model.weight, run()[0].weight)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (checkpoints.STATE, lambda whole: b"no tensors"),
        (checkpoints.STATE, lambda whole: bytes(len(whole))),
        (checkpoints.STATE, lambda whole: whole[:-1] + bytes([whole[-1] ^ 1])),
        (checkpoints.PROGRESS, lambda whole: whole[:12]),
        (checkpoints.PROGRESS, lambda whole: b'{"tempo": 1}'),
        (checkpoints.PROGRESS, lambda whole: b"[]"),
        (checkpoints.PROGRESS, lambda whole: 9999 * b"["),
        (checkpoints.PROGRESS, lambda whole: whole.replace(b'"step": 12', b'"step": 11', 1)),
        (checkpoints.PROGRESS, lambda whole: whole.replace(b'"step": 12', b'"step": []', 1)),
        (checkpoints.STATE, None),
        (checkpoints.PROGRESS, None),
    ],
)
def test_a_damaged_checkpoint_is_named(tmp_path, name, content):
    run(folder=tmp_path)
    path = tmp_path / "step-000000012" / name
    path.unlink() if content is None else path.write_bytes(content(path.read_bytes()))
    message = r"cannot resume from .*step-000000012: it is damaged or belongs to another model"
    with pytest.raises(ArtifactError, match=message) as caught:
        run(folder=tmp_path, resume=True)
    assert "delete it to start anew" in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_checkpoint_of_another_model_is_refused(tmp_path):
    run(folder=tmp_path)
    with pytest.raises(ArtifactError, match=r"belongs to another model .*size mismatch"):
        run(model=nn.Linear(5, 1), folder=tmp_path, resume=True)


def test_a_training_of_a_version_before_a_buffer_was_added_goes_on(tmp_path):
    run(folder=tmp_path)
    model = line()
    model.register_buffer("offset", torch.ones(2))
    with pytest.raises(ArtifactError, match="belongs to another model"):
        run(model=model, folder=tmp_path, resume=True)
    model.added_tensors = ("offset",)
    run(model=model, folder=tmp_path, resume=True)
    assert model.offset.tolist() == [0, 0]


@pytest.mark.parametrize(("value", "shown"), [(math.nan, "nan"), (math.inf, "inf")])
def test_a_loss_that_is_no_number_ends_the_training(value, shown):
    model = line()

    def loss(batch, progress, noise):
        return {"loss": model(batch).mean() * (value if progress >= 0.5 else 1.0)}

    settings = TrainingSettings(steps=4, precision="float32")
    with pytest.raises(TrainingError, match=rf"the loss is -?{shown} at step 2; lower the"):
        train(model, Given(model, loss), batch_at, settings)
    assert torch.isfinite(model.weight).all()


# The averaged weights


def weights(model):
    """All weights in one vector."""
    return torch.cat([one.detach().flatten() for one in model.parameters()])


def test_a_checkpoint_that_does_not_fit_leaves_the_last_one(tmp_path, monkeypatch):
    with pytest.raises(KilledError):
        run(folder=tmp_path, callback=kill_at(8))
    before = sorted(path.name for path in tmp_path.iterdir())

    def fill(*_):
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fill)
    with pytest.raises(TrainingError, match=r"step-\d+ cannot be written: I/O error: No space"):
        run(folder=tmp_path, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_second_training_in_a_folder_is_refused(tmp_path):
    def begin_another(state):
        run(folder=tmp_path, resume=True)

    with pytest.raises(StoreError, match=f"another process is at work in {tmp_path}"):
        run(folder=tmp_path, callback=begin_another)


def stored(folder, step):
    """The weights and the averaged weights of a checkpoint; None for those that it has not."""
    tensors = safetensors.torch.load_file(folder / f"step-{step:09d}" / checkpoints.STATE)
    return [
        torch.cat([tensors[f"{start}{name}"].flatten() for name in ("weight", "bias")])
        if f"{start}weight" in tensors
        else None
        for start in ("", "average.")
    ]


def weights_at_steps(settings, **options):
    """The weights that are trained before the first step and after each, and the model kept."""
    model = line()
    seen = [weights(model)]
    run(settings, model, callback=lambda state: seen.append(weights(model)), **options)
    return seen, model


AVERAGED = replace(TWELVE, steps=25, ema_decay=0.95)


def averages(average, start, ten, twenty, end):
    """The average at steps 10, 20 and 25 of the weights before and at these steps.

    The n-th update keeps n / (9 + n) or, if that is less, the decay to the power of its steps.
    """
    found = []
    for kept, new in zip(
        (min(average**10, 1 / 10), min(average**10, 2 / 11), min(average**5, 3 / 12)),
        (ten, twenty, end),
        strict=True,
    ):
        start = kept * start + (1 - kept) * new
        found.append(start)
    return found


@pytest.mark.parametrize("average", [0.95, 0.82, 0.7])
def test_the_weights_that_are_kept_and_measured_are_the_average_of_every_tenth_step(
    tmp_path, average
):
    measured = {}

    def evaluate(module):
        assert type(module) is nn.Linear
        measured[len(measured)] = weights(module)
        return {}

    settings = replace(AVERAGED, ema_decay=average, evaluate_every=5)
    seen, kept = weights_at_steps(settings, evaluate=evaluate, folder=tmp_path)
    after_ten, after_twenty, end = averages(average, seen[0], seen[10], seen[20], seen[25])
    expected = [seen[0], after_ten, after_ten, after_twenty, end]
    for found, wanted in zip(measured.values(), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(weights(kept), end)
    trained, last = stored(tmp_path, 25)
    assert torch.equal(trained, seen[25])
    assert torch.equal(last, weights(kept))


@pytest.mark.parametrize("steps", [1, 7, 10])
def test_a_short_training_keeps_a_tenth_of_the_weights_before_it(steps):
    seen, kept = weights_at_steps(replace(TWELVE, steps=steps, ema_decay=0.999))
    torch.testing.assert_close(weights(kept), 0.1 * seen[0] + 0.9 * seen[steps])


def test_averaging_does_not_change_what_is_trained():
    averaged, _ = weights_at_steps(AVERAGED)
    plain, _ = weights_at_steps(replace(AVERAGED, ema_decay=0.0))
    assert torch.equal(torch.stack(averaged), torch.stack(plain))


def test_without_an_average_the_weights_themselves_are_measured_and_kept(tmp_path):
    model, measured = line(), []
    run(model=model, folder=tmp_path, evaluate=lambda module: measured.append(module) or {})
    assert all(module is model for module in measured)
    trained, average = stored(tmp_path, 12)
    assert torch.equal(trained, weights(model))
    assert average is None


def test_weights_that_the_objective_has_set_start_the_average_anew():
    model = line()

    def prepare(since, progress):
        if progress != 13 / 25:
            return False
        model.weight.data.fill_(5.0)
        return True

    seen = []
    run(AVERAGED, model, prepare, callback=lambda state: seen.append(weights(model)))
    given = torch.cat([torch.full((3,), 5.0), seen[12][3:]])
    *_, end = averages(0.95, given, given, seen[19], seen[24])
    torch.testing.assert_close(weights(model), end)


def test_the_checkpoint_of_an_average_is_resumed_without_one_from_its_weights(tmp_path):
    plain = replace(AVERAGED, ema_decay=0.0)
    with pytest.raises(KilledError):
        run(AVERAGED, folder=tmp_path, callback=kill_at(13))
    model, _ = run(plain, folder=tmp_path, resume=True)
    assert torch.equal(weights(model), weights(run(plain)[0]))


def test_a_checkpoint_without_an_average_starts_it_from_its_weights(tmp_path):
    plain = replace(AVERAGED, ema_decay=0.0)
    seen, _ = weights_at_steps(plain)
    with pytest.raises(KilledError):
        run(plain, folder=tmp_path, callback=kill_at(13))
    torch.manual_seed(77)
    model, _ = run(AVERAGED, nn.Linear(3, 1), folder=tmp_path, resume=True)
    *_, end = averages(0.95, seen[12], seen[12], seen[20], seen[25])
    torch.testing.assert_close(weights(model), end)


def test_a_finished_training_is_resumed_to_its_average(tmp_path):
    model, _ = run(AVERAGED, folder=tmp_path)
    resumed, _ = run(AVERAGED, folder=tmp_path, resume=True)
    assert torch.equal(weights(resumed), weights(model))


@pytest.mark.parametrize("average", [-0.1, 1.0, math.nan])
def test_an_average_out_of_range_is_refused(average):
    with pytest.raises(
        UsageError, match=f"ema_decay must be at least 0 and below 1, got {average}"
    ):
        TrainingSettings(steps=1, ema_decay=average)


# The clock


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second whenever it is looked at."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))


@pytest.mark.usefixtures("clock")
def test_a_time_budget_ends_the_training():
    seen = []
    settings = TrainingSettings(time_budget_seconds=5.0, precision="float32")
    _, state = run(settings, callback=lambda state: seen.append(state.progress))
    assert seen == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert (state.step, state.elapsed_seconds) == (5, 5.0)


@pytest.mark.usefixtures("clock")
def test_a_resumed_training_has_what_is_left_of_its_time(tmp_path):
    settings = TrainingSettings(time_budget_seconds=9.0, checkpoint_every=2, precision="float32")
    with pytest.raises(KilledError):
        run(settings, folder=tmp_path, callback=kill_at(5))
    seen = []
    run(settings, folder=tmp_path, resume=True, callback=lambda state: seen.append(state.step))
    assert seen == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("length", [{"steps": 0}, {"steps": -1}, {"time_budget_seconds": 0.0}])
def test_a_training_must_have_a_length(length):
    with pytest.raises(UsageError, match="steps and time budget must be above 0"):
        TrainingSettings(**length)


@pytest.mark.parametrize("module", ["workflows.models", "images.checkpoint"])
def test_models_whose_settings_have_older_names_are_read(module):
    """The bundled models say ``average`` and ``final_share`` in their settings."""
    models = import_module(f"melodyconstraints.{module}")
    config = json.loads((models.BUNDLED / "config.json").read_text(encoding="utf-8"))
    settings = config["training"]["settings"]
    assert (settings["average"], settings["final_share"]) == (0.999, 0.02)
    assert not {"ema_decay", "final_learning_rate_fraction"} & settings.keys()
    model = models.load_model(models.BUNDLED)
    assert model.fingerprint
    assert torch.isfinite(model.sigma_bar).all()
