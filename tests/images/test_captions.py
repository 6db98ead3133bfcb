"""Captions: the probabilities against truths, and points that a search finds for a caption."""

import itertools
import math
from dataclasses import asdict, replace

import pytest
import torch
from torch.nn import functional as F

from melodyconstraints.datasets.images.celeba import PAPER_ATTRIBUTES
from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.images import captions
from melodyconstraints.images.actor import ImageActor
from melodyconstraints.images.captions import (
    KIND,
    SEARCH,
    CaptionConfig,
    CaptionModel,
    caption_critic,
    generate_from_caption,
    load_captioner,
    logit_of_log,
    save_captioner,
    train_captions,
)
from melodyconstraints.images.checkpoint import save_model
from melodyconstraints.images.config import ImageVAEConfig, TrunkConfig
from melodyconstraints.images.grammar import describe
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.images.vocabulary import BEGIN, END, PADDING, Vocabulary
from melodyconstraints.latent.constraints import Encodings
from melodyconstraints.latent.networks import Critic, Critics
from melodyconstraints.latent.search import LangevinSearch
from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.storage.artifacts import from_json, save_artifact
from melodyconstraints.vae.training import TrainingSettings

SIZES = {"hidden": (8, 7), "units": 6, "embedding": 5}
TWO = ("a cat", "the dog, barking")
SETTINGS = TrainingSettings(
    steps=300,
    batch_size=64,
    learning_rate=1e-2,
    warmup_steps=10,
    ema_decay=0.95,
    precision="float32",
)


@pytest.fixture
def tiny() -> CaptionModel:
    """Of random weights, large enough that every word depends on the point and the words."""
    torch.manual_seed(1)
    model = CaptionModel(CaptionConfig.of(TWO, 2, **SIZES)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


@pytest.fixture(scope="module")
def two_clusters() -> CaptionModel:
    """Has learned a cat around (-1.5, 0), a dog around (1.5, 0), and their mirror images."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sides = torch.tensor([-1.5, 1.5]).repeat(200)
        means = torch.stack([sides, 0.5 * torch.randn(400)], 1)
    both = torch.cat([means, means * torch.tensor([1.0, -1.0])])
    return train_captions(
        Encodings(both, torch.full_like(both, 0.9)),
        TWO * 200,
        SETTINGS,
        config=CaptionConfig.of(TWO, 2, hidden=(16, 16), units=16, embedding=8),
        gradient_penalty=0.0,
    )


def tiny_vae(latent_dim=2, seed=0) -> ImageVAE:
    torch.manual_seed(seed)
    trunk = TrunkConfig((1, 6, 5), "feed-forward", (8,))
    return ImageVAE(ImageVAEConfig(trunk, latent_dim)).eval()


def points(count, latent_dim=2, seed=3):
    return torch.randn(count, latent_dim, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------------- vocabulary


def test_every_caption_of_the_grammar_survives_the_vocabulary():
    labels = itertools.product([0, 1], repeat=len(PAPER_ATTRIBUTES))
    made = [describe(PAPER_ATTRIBUTES, row) for row in labels]
    vocabulary = Vocabulary.of(made)
    tokens = vocabulary.encode(made)
    assert [vocabulary.decode(row) for row in tokens] == made
    assert tokens.max() == len(vocabulary.words) + END
    assert (tokens == END).sum(1).eq(1).all()
    assert not (tokens == BEGIN).any()


def test_case_and_punctuation_do_not_count_but_for_commas():
    vocabulary = Vocabulary.of(["A man, wearing 5-o-clock's shadow!"])
    assert vocabulary.words == (",", "5-o-clock's", "a", "man", "shadow", "wearing")
    plain, shouted = vocabulary.encode(["a man, a shadow", "'A MAN' , a (shadow)?!"])
    assert plain.tolist() == shouted.tolist()
    assert vocabulary.encode([]).shape == (0, 0)
    assert vocabulary.decode(plain[:2]) == "a man"


def test_a_config_survives_json():
    config = CaptionConfig.of(TWO, 4, hidden=(9, 8))
    assert config.longest == 5
    assert from_json(CaptionConfig, asdict(config)) == config
    assert Vocabulary(config.words) == Vocabulary.of(TWO)


def test_what_cannot_be_read_is_refused(tiny):
    with pytest.raises(
        UsageError, match=r"unknown word 'fox' in 'A Fox'; known: a, barking, cat, dog, the$"
    ):
        tiny.encode(["A Fox"])
    with pytest.raises(UsageError, match=r"at least one word, got '\?!'"):
        tiny.encode(["?!"])
    with pytest.raises(
        UsageError, match="has 5 words, commas counted; this model knows captions of at most 4"
    ):
        tiny.encode(["a cat, a cat"])
    many = Vocabulary(tuple(f"w{number}" for number in range(1200)))
    with pytest.raises(UsageError, match=r"w98, w99 and 1,100 more$"):
        many.encode(["w1 x"])


# ---------------------------------------------------------------------------- probabilities


def test_a_log_probability_is_the_sum_of_pytorchs_own_lstm_by_hand(tiny):
    z, tokens = points(4), tiny.encode(["a cat"] * 4)
    cell = torch.nn.LSTMCell(5 + 7, 6)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.cat([tiny.from_word.weight, tiny.from_features.weight], 1))
        cell.bias_ih.copy_(tiny.from_features.bias)
        cell.weight_hh.copy_(tiny.from_hidden.weight)
        cell.bias_hh.zero_()
    features = F.relu(tiny.mlp[2](F.relu(tiny.mlp[0](z))))
    state = tiny.state(features).tanh().chunk(2, 1)
    total, before = torch.zeros(4), BEGIN
    for word in (*(tokens[0, :2].tolist()), END):
        embedded = tiny.embedding(torch.full((4,), before))
        state = cell(torch.cat([embedded, features], 1), state)
        total += F.log_softmax(tiny.head(state[0]), 1)[:, word - END]
        before = word
    torch.testing.assert_close(tiny.log_probability(z, tokens), total)


def test_probabilities_of_all_captions_sum_to_one(tiny):
    words, longest = range(END + 1, END + 1 + len(tiny.config.words)), 3

    def total(said):
        tokens = torch.tensor(said)
        return tiny.log_probability(points(1).expand(len(said), -1), tokens).exp().sum().item()

    ended = [
        total([[*said, END] for said in itertools.product(words, repeat=length)])
        for length in range(longest)
    ]
    going_on = total(list(itertools.product(words, repeat=longest)))
    assert all(share > 0.001 for share in (*ended, going_on))
    assert sum(ended) + going_on == pytest.approx(1, abs=1e-4)


def test_captions_side_by_side_are_those_alone(tiny):
    z, tokens = points(2), tiny.encode(TWO)
    assert tokens[0, -1] == PADDING
    together = tiny.log_probability(z, tokens)
    alone = [tiny.log_probability(z[i : i + 1], tiny.encode([TWO[i]])) for i in (0, 1)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert not torch.allclose(together, tiny.log_probability(z.flip(0), tokens))


def test_what_is_read_in_a_point_is_the_likeliest_word_after_word(tiny):
    z = points(20)
    for point, read in zip(z, tiny.describe_points(z), strict=True):
        said: list[int] = []
        while len(said) < tiny.config.longest:
            nexts = torch.tensor([[*said, END + k] for k in range(1 + len(tiny.config.words))])
            best = tiny.log_probability(point.expand(len(nexts), -1), nexts).argmax()
            said.append(int(best) + END)
            if said[-1] == END:
                break
        assert read == tiny.vocabulary.decode(said)


# ---------------------------------------------------------------------------- the critic


@pytest.mark.parametrize("log_p", [-90.0, -20.0, -3.0, -0.7, -1e-2, -1e-5])
def test_a_logit_of_a_log_probability_is_exact(log_p):
    below = torch.tensor(log_p, requires_grad=True)
    logit = logit_of_log(below)
    assert logit.item() == pytest.approx(log_p - math.log(-math.expm1(log_p)), rel=1e-5)
    F.softplus(-logit).backward()
    assert below.grad.item() == pytest.approx(-1, rel=1e-3)


@pytest.mark.parametrize("log_p", [0.0, -1e-12, -1e5])
def test_logits_are_finite_at_the_ends(log_p):
    below = torch.tensor(log_p, requires_grad=True)
    logit = logit_of_log(below)
    assert torch.sigmoid(logit).item() == pytest.approx(math.exp(log_p), abs=1e-6)
    F.softplus(-logit).backward()
    assert torch.isfinite(logit)
    assert torch.isfinite(below.grad)


def test_the_critics_value_is_the_captions_probability(tiny):
    z = points(6).requires_grad_(True)
    logits = caption_critic(tiny, TWO[0])(z, None)
    log_p = tiny.log_probability(z, tiny.encode([TWO[0]]).expand(6, -1))
    assert logits.shape == (6, 1)
    torch.testing.assert_close(torch.sigmoid(logits[:, 0]), log_p.exp())
    (of_critic,) = torch.autograd.grad(F.logsigmoid(logits).sum(), z)
    (of_model,) = torch.autograd.grad(log_p.sum(), z)
    assert of_model.abs().min() > 0
    torch.testing.assert_close(of_critic, of_model)


def test_a_langevin_step_follows_the_gradient_of_log_p(tiny):
    z, eps, aside = points(5), 0.1, 3e-3
    search = LangevinSearch(steps=1, step_size=eps, noise=0.0)
    moved = search(caption_critic(tiny, TWO[1]), z, generator=torch.Generator())
    tokens = tiny.encode([TWO[1]] * 5)
    for axis in aside * torch.eye(2):
        up, down = tiny.log_probability(z + axis, tokens), tiny.log_probability(z - axis, tokens)
        slope = (up - down).detach() / (2 * aside)
        torch.testing.assert_close((moved - z) @ axis / aside, eps * slope, atol=1e-3, rtol=0.01)


# ---------------------------------------------------------------------------- learning


@pytest.mark.parametrize(("caption", "side"), [(TWO[0], -1), (TWO[1], 1)])
def test_from_the_prior_the_search_reaches_the_captions_cluster(two_clusters, caption, side):
    z = points(200)
    critic = caption_critic(two_clusters, caption)
    found = SEARCH(critic, z, generator=torch.Generator().manual_seed(0))
    assert ((side * z[:, 0] > 0).float().mean() - 0.5).abs() < 0.1
    # A walk may cross over: with one of twelve seeds some did.
    assert (side * found[:, 0] > 0).float().mean() > 0.95
    assert (torch.sigmoid(critic(found, None)) >= 0.9).float().mean() > 0.95
    assert two_clusters.describe_points(found).count(caption) / 200 > 0.95


def test_the_truth_of_two_gaussians_is_learned(two_clusters):
    x = torch.linspace(-1.5, 1.5, 7)
    z = torch.stack([x, torch.zeros(7)], 1)
    found = two_clusters.log_probability(z, two_clusters.encode([TWO[1]] * 7)).exp()
    # Scale 0.9 around -1.5 and 1.5: log p(dog | z) / p(cat | z) = 2 * 1.5 x / 0.9^2.
    # With one of twelve seeds it was off by more than 0.1.
    torch.testing.assert_close(found, torch.sigmoid(3 * x / 0.81), atol=0.2, rtol=0)


def test_a_point_is_drawn_from_its_posterior_and_mirror_images_have_the_same_caption(tiny):
    means, scales, noise = points(4), points(4, seed=4).exp(), points(4, seed=5)
    tokens, rows = tiny.encode(TWO), torch.tensor([3, 0, 2, 1])
    objective = captions._CaptionLoss(tiny, Encodings(means, scales), tokens)
    drawn = (means + scales * noise[[1, 3, 2, 0]])[rows]
    expected = -tiny.log_probability(drawn, tokens[[1, 0, 0, 1]]).mean()
    torch.testing.assert_close(objective(rows, 0.0, noise)["caption"], expected)
    without = captions._CaptionLoss(tiny, Encodings(means), tokens)(rows, 0.0, noise)["caption"]
    expected = -tiny.log_probability(means[rows], tokens[[1, 0, 0, 1]]).mean()
    torch.testing.assert_close(without, expected)


def test_the_slope_of_a_logit_that_is_not_1_costs(tiny, monkeypatch):
    means, tokens = points(4), tiny.encode(TWO * 2)
    monkeypatch.setattr(captions, "_PENALTY_POINTS", 3)
    objective = captions._CaptionLoss(tiny, Encodings(means), tokens, 2.0)
    torch.manual_seed(0)
    losses = objective(torch.arange(4), 0.0, points(4))
    torch.manual_seed(0)
    share = torch.rand(3, 1)
    between = (share * means[:3] + (1 - share) * means[[3, 0, 1]]).requires_grad_(True)
    logits = logit_of_log(tiny.log_probability(between, tokens[:3]))
    (slope,) = torch.autograd.grad(logits.sum(), between)
    expected = (slope.norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(losses["loss"] - losses["caption"], 2 * expected)


def test_rare_encodings_are_learned_by_their_shares():
    shares = torch.tensor([0.0, 1.0, 0.0, 1.0])
    far = torch.tensor([[9.0, 0], [-9.0, 0], [9.0, 0], [-9.0, 0]])
    encodings = Encodings(far, shares=shares)
    config = CaptionConfig.of(TWO, 2, **SIZES)
    model = train_captions(encodings, TWO, SETTINGS, config=config, gradient_penalty=0.0)
    # of the first caption nothing was ever drawn
    cat, dog = model.log_probability(far[:2], model.encode(TWO)).exp()
    assert cat < 0.01
    assert dog > 0.5


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_repeats_itself(precision):
    settings = replace(SETTINGS, steps=5, precision=precision)
    losses = [[], []]
    models = [
        train_captions(
            Encodings(points(6)),
            TWO,
            settings,
            config=CaptionConfig.of(TWO, 2, **SIZES),
            callback=lambda state, kept=kept: kept.append(state.latest["loss"]),
        )
        for kept in losses
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 5
    assert not models[0].training
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_sizes_are_the_default_ones_if_none_are_given():
    model = train_captions(Encodings(points(2)), TWO, replace(SETTINGS, steps=1))
    assert model.config == CaptionConfig.of(TWO, 2)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match=r"5 encodings need as many captions.* got 2"):
        train_captions(Encodings(points(5)), TWO, SETTINGS)
    with pytest.raises(UsageError, match=r"5 encodings need as many captions.* got 0"):
        train_captions(Encodings(points(5)), [], SETTINGS)
    config = CaptionConfig.of(TWO, 3)
    with pytest.raises(UsageError, match="is for 3 latent dimensions, the encodings have 2"):
        train_captions(Encodings(points(4)), TWO, SETTINGS, config=config)


# ---------------------------------------------------------------------------- images


def test_images_are_decoded_once_and_depend_on_the_seed_alone(two_clusters, monkeypatch):
    model, decoded = tiny_vae(), []
    decode = ImageVAE.decode
    monkeypatch.setattr(ImageVAE, "decode", lambda self, z: decoded.append(z) or decode(self, z))
    images = generate_from_caption(model, two_clusters, "A cat", 7, seed=1)
    assert images.shape == (7, 1, 6, 5)
    assert two_clusters.describe_points(decoded[0]) == [TWO[0]] * 7
    assert len(decoded) == 1
    torch.testing.assert_close(
        images, generate_from_caption(model, two_clusters, "a cat", 7, seed=1)
    )
    other = generate_from_caption(model, two_clusters, "a cat", 7, seed=2)
    assert not torch.allclose(images, other)


def test_a_critic_of_realism_is_a_second_head(two_clusters):
    """To the left of x = 3, where both cats and dogs are, nothing is real."""
    model = tiny_vae()
    real = Critic(2, 1, ())
    with torch.no_grad():
        real.layers[0].weight.copy_(torch.tensor([[4.0, 0.0]]))
        real.layers[0].bias.fill_(-12.0)
    settings = ActorCriticSettings(critic_hidden=())
    realism = ImageActor(
        model=model,
        names=(),
        exclusive=False,
        actor=None,
        critic=Critics([real]),
        settings=settings,
        method="gradient",
    )
    asked = []

    def search(critic, z, *, sigma_bar, generator):
        asked.append((z, critic(z, None)))
        return z

    generate_from_caption(model, two_clusters, "a cat", 5, seed=1, search=search, realism=realism)
    ((z, logits),) = asked
    assert (z[:, 0] > 3).all()
    torch.testing.assert_close(logits[:, :1], caption_critic(two_clusters, "a cat")(z, None))
    torch.testing.assert_close(logits[:, 1:], real(z))


def test_an_actor_for_labels_is_refused(two_clusters):
    model = tiny_vae()
    settings = ActorCriticSettings(critic_hidden=())
    critics = Critics([Critic(2, 1, (), 1)])
    actor = ImageActor(
        model=model,
        names=("Bald",),
        exclusive=False,
        actor=None,
        critic=critics,
        settings=settings,
        method="gradient",
    )
    with pytest.raises(UsageError, match="realism alone, trained with --realism-only; this one k"):
        generate_from_caption(model, two_clusters, "a cat", 5, realism=actor)


def test_another_search_can_be_given(two_clusters):
    model = tiny_vae()
    none = LangevinSearch(steps=0)
    images = generate_from_caption(model, two_clusters, "a cat", 3, seed=1, search=none)
    prior = torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(images, model.decode(prior))


def test_images_that_cannot_be_made_are_refused(two_clusters):
    with pytest.raises(UsageError, match="n must be at least 1, got 0"):
        generate_from_caption(tiny_vae(), two_clusters, "a cat", 0)
    with pytest.raises(UsageError, match="points of 2 dimensions, the model's have 3"):
        generate_from_caption(tiny_vae(3), two_clusters, "a cat", 1)
    with pytest.raises(UsageError, match="unknown word 'fox'"):
        generate_from_caption(tiny_vae(), two_clusters, "a fox", 1)


# ---------------------------------------------------------------------------- on disk


def test_a_captioner_is_read_as_it_was_written(two_clusters, tmp_path):
    model = tiny_vae()
    save_model(model, tmp_path / "model")
    folder = tmp_path / "captioner"
    save_captioner(two_clusters, model, folder, card="# Card\n", training={"steps": 200})
    read_model, read = load_captioner(folder)
    assert read.config == two_clusters.config
    assert not read.training
    assert read_model.fingerprint == model.fingerprint
    kept = two_clusters.state_dict()
    for name, tensor in read.state_dict().items():
        assert torch.equal(tensor, kept[name].half().float())
    z, tokens = points(9), read.encode([TWO[1]] * 9)
    before, after = (m.log_probability(z, tokens) for m in (two_clusters, read))
    torch.testing.assert_close(before, after, atol=0.05, rtol=0.01)
    assert (folder / "README.md").read_text(encoding="utf-8").endswith("# Card\n")
    assert load_captioner(str(folder), model=model)[0] is model


def test_a_captioner_needs_its_own_model(tiny, tmp_path):
    model, other = tiny_vae(), tiny_vae(seed=1)
    with pytest.raises(UsageError, match="model has no folder; save it first with save_model"):
        save_captioner(tiny, model, tmp_path / "captioner")
    save_model(model, tmp_path / "model")
    save_model(other, tmp_path / "other")
    save_captioner(tiny, model, tmp_path / "captioner")
    with pytest.raises(
        ArtifactError,
        match=rf"on the model {model.fingerprint[:12]}, found {other.fingerprint[:12]}; give that",
    ):
        load_captioner(tmp_path / "captioner", model=other)


def test_a_folder_of_another_version_is_refused(tiny, tmp_path):
    model = {"folder": "somewhere", "fingerprint": "0"}
    config = {"model": model, "captioner": {**asdict(tiny.config), "layers": 2}}
    save_artifact(tmp_path / "more", KIND, config, {}, "")
    save_artifact(tmp_path / "less", KIND, {"model": model}, {}, "")
    with pytest.raises(ArtifactError, match=r"more does not fit this version: .*layers: Unexp"):
        load_captioner(tmp_path / "more")
    with pytest.raises(ArtifactError, match=r"less does not fit .*: captioner: Field required"):
        load_captioner(tmp_path / "less")
