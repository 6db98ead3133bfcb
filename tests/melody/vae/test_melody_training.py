"""Training a melody VAE: batches, stages, the linear start, and repetition to the bit."""

import copy
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from torch import nn

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD, PITCHES, REST, Melodies
from melodyconstraints.melody.units import STEPS
from melodyconstraints.melody.vae import residual_path as path_module
from melodyconstraints.melody.vae import training
from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.melody.vae.residual_path import (
    ResidualPath,
    match_prior,
    mean_posterior_scale,
    posterior_of,
    residual_path,
    start_from_principal_components,
)
from melodyconstraints.melody.vae.training import (
    ElboSettings,
    MelodyBatches,
    MelodyObjective,
    negative_log_likelihood,
    train_melody_vae,
    transpose_randomly,
)
from melodyconstraints.vae import precision
from melodyconstraints.vae.posterior import Posterior
from melodyconstraints.vae.precision import products
from melodyconstraints.vae.training import TrainingSettings

FAILURES = 1e-6
"""Failure rate of a statistical test; the seeds are fixed, so it passes always or never."""


@pytest.fixture
def batch(some_melodies) -> torch.Tensor:
    """``(12, 256)`` int64."""
    return torch.from_numpy(some_melodies.events.astype(np.int64))


@pytest.fixture
def sources() -> np.ndarray:
    """Two collections, of nine melodies and of three."""
    return np.array(["airs"] * 9 + ["hymns"] * 3, dtype=object)


@pytest.fixture
def train_tiny(tiny_config, some_melodies, sources):
    """Trains the tiny model on twelve melodies in float32."""

    def train(
        steps: int,
        *,
        config=tiny_config,
        elbo=None,
        events=some_melodies.events,
        ema_decay=0.0,
        **options,
    ):
        settings = TrainingSettings(
            steps=steps,
            batch_size=4,
            learning_rate=5e-3,
            warmup_steps=3,
            ema_decay=ema_decay,
            precision="float32",
            evaluate_every=2,
            checkpoint_every=3,
        )
        return train_melody_vae(
            config, events, sources, some_melodies.events[:3], settings, elbo=elbo, **options
        )

    return train


def noise(seed: int = 0) -> torch.Tensor:
    """For twelve melodies and eight dimensions."""
    return torch.randn(12, 8, generator=torch.Generator().manual_seed(seed))


# Batches


def test_transposition_moves_all_notes_of_a_melody_alike_and_leaves_the_rest(rng, some_melodies):
    before = np.tile(some_melodies.events, (50, 1))
    after = transpose_randomly(before, rng)
    notes = before < PITCHES
    assert np.array_equal(after[~notes], before[~notes])
    shifts = after.astype(int) - before
    each = [set(shift[note].tolist()) for shift, note in zip(shifts, notes, strict=True)]
    assert all(len(one) == 1 for one in each)
    assert set.union(*each) == set(range(-6, 6))


def test_transposition_leaves_a_melody_that_it_would_move_out_of_range(rng):
    events = np.full((600, STEPS), REST, np.uint8)
    events[:200, 0] = 125
    events[200:400, 0] = 2
    events[400:, :2] = 0, 127
    after = transpose_randomly(events, rng)
    assert after.dtype == np.uint8
    assert set(after[:200, 0].tolist()) == {*range(119, 128)}
    assert set(after[200:400, 0].tolist()) == {*range(8)}
    assert np.array_equal(after[400:], events[400:])
    assert (after[:, 2:] == REST).all()


def test_batches_are_a_function_of_seed_and_step(some_melodies, sources):
    def drawn(seed: int, step: int) -> torch.Tensor:
        return MelodyBatches(some_melodies.events, sources, 4, seed)(step)

    assert torch.equal(drawn(0, 7), drawn(0, 7))
    assert not torch.equal(drawn(0, 7), drawn(0, 8))
    assert not torch.equal(drawn(0, 7), drawn(1, 7))
    assert drawn(0, 7).dtype == torch.int64


def test_collections_are_drawn_by_the_root_of_their_size():
    events = np.full((1000, STEPS), REST, np.uint8)
    events[900:] = HOLD
    labels = np.array(["large"] * 900 + ["small"] * 100, dtype=object)
    batches = MelodyBatches(events, labels, 256, seed=0)
    small = sum(int((batches(step)[:, 0] == HOLD).sum()) for step in range(40))
    assert stats.binomtest(small, 40 * 256, 10 / (30 + 10)).pvalue > FAILURES


def test_as_stored_every_melody_is_drawn_as_often_in_its_own_key(some_melodies, sources):
    batches = MelodyBatches(some_melodies.events, sources, 256, seed=0, as_stored=True)
    drawn = np.concatenate([batches(step) for step in range(40)])
    counts = [(drawn == melody).all(1).sum() for melody in some_melodies.events]
    assert sum(counts) == 40 * 256
    assert stats.chisquare(counts).pvalue > FAILURES


def test_every_melody_of_a_collection_is_drawn(some_melodies):
    ends = np.where(some_melodies.events < PITCHES, REST, some_melodies.events)
    batches = MelodyBatches(ends, np.full(12, "one", dtype=object), 256, seed=0)
    assert np.array_equal(np.unique(batches(0), axis=0), np.unique(ends, axis=0))


def test_no_melody_to_train_on_is_refused():
    with pytest.raises(UsageError, match="there is no melody to train on; extract more files"):
        MelodyBatches(np.zeros((0, STEPS), np.uint8), np.array([], dtype=object), 4, 0)


# The loss


def test_likelihood_of_uniform_logits_is_256_log_130(batch):
    found = negative_log_likelihood(torch.zeros(12, STEPS, 130), batch)
    torch.testing.assert_close(found, torch.tensor(256 * math.log(130)))


def test_likelihood_by_hand_is_a_mean_over_melodies_and_a_sum_over_events(batch):
    logits = math.log(2) * nn.functional.one_hot(batch, 130).float()
    logits[0] = 0  # p = 1/130 for one melody, 2/131 for eleven
    expected = 256 * (math.log(130) + 11 * math.log(131 / 2)) / 12
    torch.testing.assert_close(negative_log_likelihood(logits, batch), torch.tensor(expected))


@pytest.mark.parametrize(
    ("progress", "beta"), [(0.2, 0.1), (0.4, 0.25), (0.6, 0.4), (0.8, 0.4), (1.0, 0.4)]
)
def test_beta_rises_over_the_first_half_of_the_melody_stage(tiny_model, batch, progress, beta):
    settings = ElboSettings(beta=0.4, first_beta=0.1, bars_share=0.2)
    objective = MelodyObjective(tiny_model, settings, batch.numpy().astype(np.uint8))
    losses = objective(batch, progress, noise())
    expected = (losses["reconstruction"] + beta * losses["kl"]) / 256
    torch.testing.assert_close(losses["loss"], expected)


def test_a_model_without_a_residual_path_has_one_stage(tiny_config, batch):
    model = HierarchicalVAE(replace(tiny_config, residual=False))
    settings = ElboSettings(beta=0.4, first_beta=0.1, bars_share=0.2)
    objective = MelodyObjective(model, settings, batch.numpy().astype(np.uint8))
    for progress, beta in ((0.0, 0.1), (0.25, 0.25), (0.5, 0.4)):
        losses = objective(batch, progress, noise())
        expected = (losses["reconstruction"] + beta * losses["kl"]) / 256
        torch.testing.assert_close(losses["loss"], expected)


def test_free_nats_cost_nothing(tiny_model, batch):
    settings = ElboSettings(beta=0.4, free_nats=1e6, bars_share=0.0)
    losses = MelodyObjective(tiny_model, settings, batch.numpy())(batch, 1.0, noise())
    torch.testing.assert_close(losses["loss"], losses["reconstruction"] / 256)


def test_the_reconstruction_term_is_that_of_a_posterior_draw(tiny_model, batch):
    objective = MelodyObjective(tiny_model, ElboSettings(bars_share=0.0), batch.numpy())
    losses = objective(batch, 1.0, noise(3))
    posterior = tiny_model.encode(batch)
    logits = tiny_model.logits(posterior.mean + posterior.scale * noise(3), batch)
    expected = negative_log_likelihood(logits, batch)
    torch.testing.assert_close(losses["reconstruction"], expected)
    torch.testing.assert_close(losses["kl"], posterior.kl().mean())


# Stages


def test_the_bars_stage_trains_codes_and_bar_decoder_alone(tiny_model, batch):
    objective = MelodyObjective(tiny_model, ElboSettings(bars_share=0.5), batch.numpy())
    losses = objective(batch, 0.49, noise())
    codes = tiny_model.encoder.bar_codes(batch)
    expected = negative_log_likelihood(tiny_model.decoder(codes, batch), batch)
    assert set(losses) == {"loss", "reconstruction"}
    torch.testing.assert_close(losses["reconstruction"], expected)
    torch.testing.assert_close(losses["loss"], expected / 256)
    losses["loss"].backward()
    reached = {
        name.split(".")[0] for name, p in tiny_model.named_parameters() if p.grad is not None
    }
    assert reached == {"encoder", "decoder"}
    assert tiny_model.encoder.head.weight.grad is None


def weights(model: HierarchicalVAE) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], model: HierarchicalVAE) -> set[str]:
    """Weights that are not what they were."""
    return {name for name, one in model.state_dict().items() if not torch.equal(one, before[name])}


def test_the_melody_stage_makes_the_residual_path(tiny_model, some_melodies):
    objective = MelodyObjective(tiny_model, ElboSettings(bars_share=0.5), some_melodies.events)
    before = weights(tiny_model)
    assert not objective.prepare(-1, 0.0)
    assert not objective.prepare(0.46, 0.49)
    assert not changed(before, tiny_model)
    assert objective.prepare(0.49, 0.5)
    assert changed(before, tiny_model) == {
        *("encoder.shortcut.weight", "encoder.shortcut.bias", "encoder.head.weight"),
        *("conductor.shortcut.weight", "conductor.shortcut.bias", "conductor.output.weight"),
    }


@pytest.mark.parametrize(
    ("since", "progress", "expected"),
    [
        (-1.0, 0.0, None),
        (0.0, 0.49, None),
        (0.49, 0.5, "start"),
        (-1.0, 0.5, "start"),
        (0.5, 0.59, None),
        (0.59, 0.6, "match"),
        (0.6, 0.61, None),
        (0.85, 0.95, "match"),
        (0.59, 0.95, "match"),
        (0.9, 1.0, None),
        (0.4, 0.95, "start"),
    ],
)
def test_each_border_of_the_training_is_prepared_for_once(
    tiny_model, some_melodies, monkeypatch, since, progress, expected
):
    done = []
    for name, word in (("start_from_principal_components", "start"), ("match_prior", "match")):
        monkeypatch.setattr(training, name, lambda *given, word=word: done.append((word, *given)))
    settings = ElboSettings(bars_share=0.5, match_shares=(0.6, 0.9))
    objective = MelodyObjective(tiny_model, settings, some_melodies.events)
    assert objective.prepare(since, progress) == (expected is not None)
    assert [word for word, *_ in done] == ([expected] if expected else [])
    for _, _, sample in done:
        assert sample is some_melodies.events


def test_a_model_that_is_trained_further_has_no_stage_on_bars_and_keeps_its_residual_path(
    tiny_model, some_melodies, batch
):
    settings = ElboSettings(beta=0.4, match_shares=(0.9,)).further()
    objective = MelodyObjective(tiny_model, settings, some_melodies.events)
    before = weights(tiny_model)
    assert not objective.prepare(-1, 0.0)
    assert not objective.prepare(0.0, 0.8)
    assert not changed(before, tiny_model)
    assert objective.prepare(0.8, 0.9)
    for progress in (0.0, 0.2, 1.0):
        losses = objective(batch, progress, noise())
        expected = (losses["reconstruction"] + 0.4 * losses["kl"]) / 256
        torch.testing.assert_close(losses["loss"], expected)


def test_a_model_that_is_trained_further_begins_with_its_weights(train_tiny):
    start, _ = train_tiny(3)
    elbo = ElboSettings(match_shares=())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingSettings, "rate", lambda *_: 0.0)
        model, _ = train_tiny(2, elbo=elbo.further(), start=start)
    for name, parameter in start.named_parameters():
        assert torch.equal(parameter, dict(model.named_parameters())[name])


def test_a_model_without_a_residual_path_is_never_prepared(tiny_config, some_melodies):
    model = HierarchicalVAE(replace(tiny_config, residual=False))
    objective = MelodyObjective(model, ElboSettings(bars_share=0.5), some_melodies.events)
    before = weights(model)
    assert not objective.prepare(-1, 1.0)
    assert not changed(before, model)


def test_the_residual_path_does_not_hang_on_what_was_drawn_before(tiny_model, some_melodies):
    settings = ElboSettings(bars_share=0.5)
    resumed = copy.deepcopy(tiny_model)
    MelodyObjective(tiny_model, settings, some_melodies.events).prepare(0.4, 0.5)
    torch.rand(5)  # a resumed run has another history of draws
    MelodyObjective(resumed, settings, some_melodies.events).prepare(0.4, 0.5)
    assert not changed(weights(tiny_model), resumed)


def test_a_data_point_needs_as_many_normal_numbers_as_z_has_dimensions(tiny_model, batch):
    assert MelodyObjective(tiny_model, ElboSettings(), batch.numpy()).noise_size == 8


def test_the_loss_is_nearly_the_same_in_bfloat16(tiny_model, batch):
    objective = MelodyObjective(tiny_model, ElboSettings(bars_share=0.5), batch.numpy())
    for progress in (0.4, 0.8):
        full = objective(batch, progress, noise())
        with products("bfloat16", batch.device):
            half = objective(batch, progress, noise())
        for name, value in half.items():
            assert value.dtype == torch.float32
            assert value.item() == pytest.approx(full[name].item(), rel=5e-3)


@pytest.mark.parametrize(
    "change",
    [{"residual": False}, {"residual": False, "encoder": "flat"}, {"bar_code": 9}],
    ids=str,
)
def test_models_whose_codes_cannot_stand_for_embeddings_have_no_residual_path(tiny_config, change):
    assert residual_path(HierarchicalVAE(replace(tiny_config, **change))) is None


def test_the_residual_path_of_a_model_is_its_shortcuts_and_heads(tiny_model):
    path = residual_path(tiny_model)
    assert path.encoder is tiny_model.encoder
    assert path.to_posterior is tiny_model.encoder.shortcut
    assert path.to_embeddings is tiny_model.conductor.shortcut
    assert path.posterior_head is tiny_model.encoder.head
    assert path.embedding_head is tiny_model.conductor.output
    assert path.latent_dim == 8


# The linear start, on codes made by hand


def path_of_codes(codes: torch.Tensor, dims: int) -> ResidualPath:
    """A path whose encoder gives ``codes`` ``(N, K, C)``, whose end is not in use yet."""
    size = codes[0].numel()
    path = ResidualPath(
        encoder=SimpleNamespace(bar_codes=lambda events: codes[: len(events)]),
        to_posterior=nn.Linear(size, 2 * dims),
        to_embeddings=nn.Linear(dims, size),
        posterior_head=nn.Linear(3, 2 * dims),
        embedding_head=nn.Linear(3, codes.shape[-1]),
        latent_dim=dims,
    )
    nn.init.zeros_(path.to_embeddings.weight)
    return path


def start(codes: torch.Tensor, dims: int) -> ResidualPath:
    path = path_of_codes(codes, dims)
    start_from_principal_components(path, np.zeros((len(codes), STEPS), np.uint8))
    return path


def test_with_room_for_every_component_the_residual_path_gives_the_codes_back():
    codes = torch.randn(9, 2, 4) * torch.arange(1, 5) + 3
    path = start(codes, dims=8)
    mean, raw = path.to_posterior(codes.flatten(1)).chunk(2, -1)
    given_back = path.to_embeddings(mean)
    torch.testing.assert_close(given_back, codes.flatten(1), atol=1e-4, rtol=1e-4)
    assert torch.equal(raw, torch.full_like(raw, -2.0))


def test_posterior_means_start_white():
    codes = torch.randn(50, 2, 3) * torch.tensor([1.0, 3.0, 0.5]) - 1
    path = start(codes, dims=6)
    mean = path.to_posterior(codes.flatten(1))[:, :6].detach()
    torch.testing.assert_close(mean.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(mean.T.cov(), torch.eye(6), atol=1e-3, rtol=0)


def test_with_less_room_the_leading_components_are_kept():
    scales = torch.tensor([10.0, 5.0, 2.0, 0.1, 0.1, 0.1])
    codes = (torch.randn(40, 6) * scales).reshape(40, 2, 3)
    path = start(codes, dims=3)
    flat = codes.flatten(1)
    given_back = path.to_embeddings(path.to_posterior(flat)[:, :3]).detach()
    left, singular, right = np.linalg.svd((flat - flat.mean(0)).numpy(), full_matrices=False)
    best = (left[:, :3] * singular[:3]) @ right[:3] + flat.mean(0).numpy()
    np.testing.assert_allclose(given_back.numpy(), best, atol=1e-2)


@pytest.mark.parametrize("count", [1, 4])
def test_fewer_melodies_than_dimensions_leave_the_others_unused(count):
    codes = torch.randn(count, 2, 4)
    path = start(codes, dims=8)
    mean = path.to_posterior(codes.flatten(1))[:, :8]
    given_back = path.to_embeddings(mean)
    torch.testing.assert_close(given_back, codes.flatten(1), atol=1e-4, rtol=1e-4)
    assert not path.to_embeddings.weight[:, count - 1 :].any()


def test_the_lstms_share_of_the_sum_starts_at_a_tenth():
    codes = torch.randn(9, 2, 4)
    path = path_of_codes(codes, dims=4)
    heads = (path.posterior_head, path.embedding_head)
    before = [head.weight.detach().clone() for head in heads]
    start_from_principal_components(path, np.zeros((9, STEPS), np.uint8))
    for head, weight in zip(heads, before, strict=True):
        torch.testing.assert_close(head.weight.detach(), 0.1 * weight)


# Matching the posterior to the prior


@pytest.fixture
def full_precision(monkeypatch) -> None:
    """No processor multiplies bfloat16."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)


KINDS = {
    "residual": {},
    "hierarchical": {"residual": False},
    "flat": {"residual": False, "encoder": "flat"},
}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def lopsided(request, tiny_config) -> HierarchicalVAE:
    """A model whose latent dimensions hang together, with a mean and a scale of their own."""
    model = HierarchicalVAE(replace(tiny_config, **request.param))
    mix = torch.randn(8, 8)
    for number, layer in enumerate(model.encoder.to_posterior()):
        layer.weight.data[:8] = 10 * mix @ layer.weight.data[:8]
        layer.weight.data[8:] = 0
        layer.bias.data[:8] += 3
        layer.bias.data[8:] = torch.linspace(-2, 2, 8) if number == 0 else 0.5
    return model


@pytest.mark.usefixtures("full_precision")
def test_matching_is_the_symmetric_whitening_of_the_means(lopsided, some_melodies):
    before, weights_before = posterior_of(lopsided, some_melodies.events), weights(lopsided)
    match_prior(lopsided, some_melodies.events)
    after = posterior_of(lopsided, some_melodies.events)
    # C^(-1/2) by another library; C is what the means and the scales make together.
    mean = before.mean.double().numpy()
    covariance = np.cov(mean.T) + np.diag(before.scale[0].double().numpy() ** 2)
    expected = (mean - mean.mean(0)) @ linalg.inv(linalg.sqrtm(covariance))
    np.testing.assert_allclose(after.mean, expected, atol=1e-3)
    variance = after.mean.var(0) + after.scale.square().mean(0)
    torch.testing.assert_close(variance, torch.ones(8), atol=1e-3, rtol=0)
    assert {name.rpartition(".")[0] for name in changed(weights_before, lopsided)} == {
        *("encoder.head", "conductor.start.linear"),
        *(("encoder.shortcut", "conductor.shortcut") if lopsided.config.residual else ()),
    }


def test_the_linear_layers_on_both_sides_of_z_are_named(tiny_model, tiny_config):
    encoder, conductor = tiny_model.encoder, tiny_model.conductor
    assert encoder.to_posterior() == [encoder.head, encoder.shortcut]
    assert conductor.from_z() == [conductor.start.linear, conductor.shortcut]
    plain = HierarchicalVAE(replace(tiny_config, residual=False, encoder="flat"))
    assert plain.encoder.to_posterior() == [plain.encoder.head]
    assert plain.conductor.from_z() == [plain.conductor.start.linear]


# Whole trainings


def test_a_training_learns(train_tiny):
    seen = []
    train_tiny(80, callback=lambda state: seen.append(state.latest["reconstruction"]))
    assert seen[0] == pytest.approx(256 * math.log(130), rel=0.1)
    assert np.mean(seen[-5:]) < 0.7 * seen[0]


def test_a_training_is_a_function_of_its_seed(train_tiny):
    first, _ = train_tiny(4)
    second, _ = train_tiny(4)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


@pytest.mark.parametrize("killed_at", [5, 8, 11], ids=["bars stage", "border", "melody stage"])
def test_a_training_that_was_killed_and_resumed_repeats_the_whole_one(
    train_tiny, tmp_path, killed_at
):
    def kill(state):
        if state.step == killed_at:
            raise KeyboardInterrupt

    options = {"elbo": ElboSettings(bars_share=0.5), "ema_decay": 0.9}
    whole, whole_state = train_tiny(12, **options)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(12, folder=tmp_path, callback=kill, **options)
    torch.rand(3)
    resumed, state = train_tiny(12, folder=tmp_path, resume=True, **options)
    assert state.step == whole_state.step == 12
    assert state.latest == whole_state.latest
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_the_residual_path_is_made_from_a_transposed_sample_of_the_training_data(
    train_tiny, some_melodies, monkeypatch
):
    given = []
    monkeypatch.setattr(training, "PATH_SAMPLE", 7)
    monkeypatch.setattr(
        training, "start_from_principal_components", lambda path, sample: given.append(sample)
    )
    train_tiny(2, elbo=ElboSettings(bars_share=0.5, match_shares=()))
    (sample,) = given
    # Where a melody has a note, and what else is there, no transposition changes.
    rhythms = [np.maximum(events, PITCHES - 1) for events in (sample, some_melodies.events)]
    found = [np.flatnonzero((rhythms[1] == one).all(1)).tolist() for one in rhythms[0]]
    rows = [row for (row,) in found]
    assert rows == sorted(set(rows))
    assert len(rows) == 7
    assert not (sample == some_melodies.events[rows]).all(1).all()


def test_a_much_longer_budget_does_not_make_the_residual_path_anew(
    train_tiny, tmp_path, monkeypatch
):
    made = []
    monkeypatch.setattr(
        training, "start_from_principal_components", lambda path, sample: made.append(path)
    )
    elbo = ElboSettings(bars_share=0.3, match_shares=())
    train_tiny(4, elbo=elbo, folder=tmp_path)
    assert len(made) == 1
    train_tiny(20, elbo=elbo, folder=tmp_path, resume=True)
    assert len(made) == 1


def test_a_much_longer_budget_does_not_train_bars_alone_again(train_tiny, tmp_path):
    elbo, seen = ElboSettings(bars_share=0.3), []
    train_tiny(4, elbo=elbo, folder=tmp_path)
    train_tiny(
        20,
        elbo=elbo,
        folder=tmp_path,
        resume=True,
        callback=lambda state: seen.append((state.progress, "kl" in state.latest)),
    )
    assert seen[0][0] < 0.3
    assert all(melodies for _, melodies in seen)


def test_curves_hold_the_measured_quality_at_every_evaluation(train_tiny):
    _, state = train_tiny(5)
    assert [point["step"] for point in state.curves] == [2, 4, 5]
    assert {"teacher_forced", "free_running", "onset_f1", "reconstruction", "kl"} <= set(
        state.curves[0]
    )


def test_sigma_bar_becomes_the_mean_posterior_scale_of_the_training_data(
    train_tiny, some_melodies
):
    events = some_melodies.events.copy()
    events[:, :2] = 0, 127  # fixed points of transposition: the training sees just these
    model, _ = train_tiny(3, events=events)
    melodies = torch.from_numpy(Melodies(events).events.astype(np.int64))
    expected = model.encode(melodies).scale.detach().mean(0)
    # It is measured in bfloat16 where there is one.
    torch.testing.assert_close(model.sigma_bar, expected, atol=0, rtol=0.01)
    assert torch.equal(mean_posterior_scale(model, events), model.sigma_bar)


def test_sigma_bar_is_the_mean_and_no_other_mean(tiny_model, some_melodies, monkeypatch):
    scale = torch.tensor([[0.1, 0.2], [0.9, 0.4]])
    posterior = Posterior(torch.zeros(2, 2), scale)
    monkeypatch.setattr(path_module, "posterior_of", lambda *_: posterior)
    found = mean_posterior_scale(tiny_model, some_melodies.events[:2])
    torch.testing.assert_close(found, torch.tensor([0.5, 0.3]))
