"""Text to image by direct latent optimisation: a recurrent network reads captions in a point.

An MLP on z gives features; an LSTM that starts from them, and has them as input at every step,
gives the probabilities of a caption's words, one after another:

    log p(caption | z) = sum over t of log p(w_t | w_1 .. w_(t-1), z)

Langevin steps on it (Acuna and Duvenaud, *Direct optimization of the latent representation*,
equation 2 and section 3.2) find points of a caption. The gradient goes back through the LSTM and
the MLP, never through the decoder, which is called once, at the end. In the source the LSTM has
two layers and both networks come from other tasks; here it has one and is trained on encodings.

Shapes: ``B`` points, ``Z`` latent dimensions, ``T`` words of a caption and its end, ``V`` words of
the vocabulary, ``U`` units of the LSTM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from annotated_types import Len
from torch import Tensor, nn

from melodyconstraints.errors import UsageError
from melodyconstraints.images.checkpoint import load_model
from melodyconstraints.images.model import (
    MOST_AT_ONCE,
    ImageVAE,
)
from melodyconstraints.images.vocabulary import BEGIN, END, PADDING, Vocabulary, words_of
from melodyconstraints.latent import losses
from melodyconstraints.latent.constraints import Encodings
from melodyconstraints.latent.pair import ModelReference, find_model, model_reference
from melodyconstraints.latent.protocols import CriticFunction, Search
from melodyconstraints.latent.search import LangevinSearch
from melodyconstraints.storage.arguments import DEFAULT_SEED, check_amount, check_seed
from melodyconstraints.storage.artifacts import halved, load_artifact, save_artifact
from melodyconstraints.storage.schema import Size, Widths
from melodyconstraints.vae.state import TrainingState
from melodyconstraints.vae.training import SEED_STRIDE, Objective, TrainingSettings, train

if TYPE_CHECKING:
    from melodyconstraints.images.actor import ImageActor

KIND = "image-captioner"
_REMEDY = "give that model, or train the captioner again"
SEARCH = LangevinSearch(steps=300, step_size=0.1, noise=2e-3, prior_weight=1e-2, thresholds=0.9)
"""Search of :func:`generate_from_caption`, until p(caption | z), of all words, is 0.9."""
REALISTIC_SEARCH = replace(SEARCH, weights=(1.0, 0.3), thresholds=(0.9, 0.5))
"""Search of captions with a critic of realism as a second head."""
TRAINING = TrainingSettings(
    steps=600, batch_size=256, warmup_steps=100, ema_decay=0.99, seed=DEFAULT_SEED
)
"""Settings of :func:`train_captions`, short: an overfitted captioner misleads a search."""
_PENALTY_POINTS = 48
"""Points of a batch at which the gradient penalty is taken: it costs more than the other loss."""
_CERTAIN = -1e-7
"""The largest log-probability that has a logit in single precision."""


@dataclass(frozen=True)
class CaptionConfig:
    """Sizes of a :class:`CaptionModel`.

    Args:
        latent_dim: Z, dimensions of a latent point.
        words: V words of the vocabulary.
        longest: T of the longest caption, its end included; longer ones are refused.
        hidden: units of the MLP's layers, at least one; the last layer gives the features.
        units: U, units of the LSTM.
        embedding: dimensions of a word's embedding.
    """

    latent_dim: Size
    words: Annotated[tuple[str, ...], Len(0, 1 << 16)]
    longest: Size
    hidden: Annotated[Widths, Len(1)] = (512, 512, 512)
    units: Size = 256
    embedding: Size = 64

    @classmethod
    def of(cls, captions: Sequence[str], latent_dim: int, **sizes: Any) -> CaptionConfig:
        """Configuration for the words and the lengths of some captions.

        Args:
            sizes: fields ``hidden``, ``units``, ``embedding``.
        """
        longest = 1 + max((len(words_of(caption)) for caption in captions), default=0)
        return cls(latent_dim, Vocabulary.of(captions).words, longest, **sizes)


@dataclass(kw_only=True)
class _Folder:
    model: ModelReference
    captioner: CaptionConfig
    training: dict[str, Any] = field(default_factory=dict)


class CaptionModel(nn.Module):
    """p(caption | z): an MLP on the point, an LSTM on the words so far.

    With features f, x_t the embedding of the word before and [i, f, g, o] the LSTM's gates, the
    gates are W_x x_t + W_f f + W_h h_(t-1) + b; h_0 and c_0 are tanh of linear maps of f.
    """

    def __init__(self, config: CaptionConfig) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = Vocabulary(config.words)
        layers: list[nn.Module] = []
        for before, after in pairwise((config.latent_dim, *config.hidden)):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.mlp = nn.Sequential(*layers)
        features, units = config.hidden[-1], config.units
        self.state = nn.Linear(features, 2 * units)
        self.embedding = nn.Embedding(END + 1 + len(config.words), config.embedding)
        self.from_word = nn.Linear(config.embedding, 4 * units, bias=False)
        self.from_features = nn.Linear(features, 4 * units)
        self.from_hidden = nn.Linear(units, 4 * units, bias=False)
        self.head = nn.Linear(units, 1 + len(config.words))

    def encode(self, captions: Sequence[str]) -> Tensor:
        """Captions to tokens ``(B, T)`` on the model's device.

        Raises:
            UsageError: a caption without a word, with an unknown word, or longer than the longest.
        """
        tokens = self.vocabulary.encode(captions)
        if tokens.shape[1] > self.config.longest:
            raise UsageError(
                f"a caption has {tokens.shape[1] - 1} words, commas counted; "
                f"this model knows captions of at most {self.config.longest - 1}"
            )
        return tokens.to(self.head.weight.device)

    def log_probability(self, z: Tensor, tokens: Tensor) -> Tensor:
        """``(B,)`` log p(caption | z), at most 0, of points ``(B, Z)`` with a caption each.

        Args:
            tokens: ``(B, T)`` words, the end and padding; without the end, the probability is
                that of all captions that begin so.
        """
        begin = torch.full_like(tokens[:, :1], BEGIN)
        inputs = torch.cat([begin, tokens[:, :-1]], 1)
        step = _Steps(self, z)
        logs = torch.stack([step(words) for words in inputs.unbind(1)], 1)
        said = logs.gather(2, (tokens - END).clamp(min=0)[..., None])[..., 0]
        return torch.where(tokens == PADDING, 0.0, said).sum(1)

    @torch.no_grad()
    def describe_points(self, z: Tensor) -> list[str]:
        """Captions of points ``(B, Z)``, word by word the likeliest one."""
        step = _Steps(self, z)
        word = torch.full((len(z),), BEGIN, device=z.device)
        tokens = []
        for _ in range(self.config.longest):
            word = step(word).argmax(1) + END
            tokens.append(word)
        return [self.vocabulary.decode(row) for row in torch.stack(tokens, 1).tolist()]


class _Steps:
    """The LSTM's state for a batch of points; each call returns the next word's log-probabilities.

    The features' and the words' parts of the gates are computed once, not at every step.
    """

    def __init__(self, model: CaptionModel, z: Tensor) -> None:
        self.model = model
        features = model.mlp(z)
        self.hidden, self.cell = model.state(features).tanh().chunk(2, 1)
        self.constant = model.from_features(features)
        self.table = model.from_word(model.embedding.weight)

    def __call__(self, words: Tensor) -> Tensor:
        """Tokens ``(B,)`` of the previous words to ``(B, 1 + V)``, for the end and each word."""
        gates = self.table[words] + self.constant + self.model.from_hidden(self.hidden)
        take, keep, new, show = gates.float().chunk(4, 1)
        self.cell = keep.sigmoid() * self.cell + take.sigmoid() * new.tanh()
        self.hidden = show.sigmoid() * self.cell.tanh()
        return self.model.head(self.hidden).float().log_softmax(1)


def logit_of_log(log_probability: Tensor) -> Tensor:
    """The logit log p - log(1 - p) of a probability p given as log p.

    Finite, with finite gradients, for all p from 0 to 1.

    >>> logit_of_log(torch.tensor([0.5]).log())
    tensor([0.])
    >>> logit_of_log(torch.tensor([-1000.0, 0.0]))
    tensor([-1000.0000,    16.1181])
    """
    below = log_probability.clamp(max=_CERTAIN)
    return below - (-below.expm1()).log()


def caption_critic(model: CaptionModel, caption: str) -> CriticFunction:
    """A critic D(z) = p(caption | z), whose -log D a search minimises.

    Returns:
        A function of points ``(B, Z)``, and a condition that it ignores, to logits ``(B, 1)``.

    Raises:
        UsageError: see :meth:`CaptionModel.encode`.
    """
    tokens = model.encode([caption])

    def critic(z: Tensor, y: Tensor | None) -> Tensor:
        return logit_of_log(model.log_probability(z, tokens.expand(len(z), -1)))[:, None]

    return critic


def generate_from_caption(
    model: ImageVAE,
    captioner: CaptionModel,
    caption: str,
    n: int,
    *,
    seed: int = DEFAULT_SEED,
    search: Search | None = None,
    realism: ImageActor | None = None,
) -> Tensor:
    """Images ``(n, C, H, W)`` in [0, 1] of a caption.

    Args:
        search: search from points of N(0, I); :data:`SEARCH`, or with ``realism``
            :data:`REALISTIC_SEARCH`, if not given.
        realism: an actor for realism alone: the search starts from its points, and its critic is
            a second head.

    Raises:
        UsageError: no number of images, a caption that the captioner cannot read, a captioner
            for another number of latent dimensions, or an actor for labels.
    """
    check_amount(n, MOST_AT_ONCE, "images")
    check_seed(seed)
    if captioner.config.latent_dim != model.latent_dim:
        raise UsageError(
            f"the captioner reads points of {captioner.config.latent_dim} dimensions, "
            f"the model's have {model.latent_dim}; give the model that it was trained on"
        )
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, model.latent_dim, generator=generator).to(model.sigma_bar)
    critic = caption_critic(captioner, caption)
    if realism is not None:
        if realism.names:
            raise UsageError(
                "captions need an actor of realism alone, trained with --realism-only; "
                f"this one knows {', '.join(realism.names)}"
            )
        z, critic = realism.shift(z, seed=seed), _both(critic, realism.critic)
    search = search or (SEARCH if realism is None else REALISTIC_SEARCH)
    return model.decode(search(critic, z, sigma_bar=model.sigma_bar, generator=generator))


def _both(first: CriticFunction, second: CriticFunction) -> CriticFunction:
    return lambda z, y: torch.cat([first(z, None), second(z, None)], -1)


def train_captions(
    encodings: Encodings,
    captions: Sequence[str],
    settings: TrainingSettings = TRAINING,
    *,
    config: CaptionConfig | None = None,
    gradient_penalty: float = 1.0,
    callback: Callable[[TrainingState], None] | None = None,
) -> CaptionModel:
    """Train p(caption | z) on points of the posteriors, drawn anew at every step.

    The loss is -log p(caption | z), in nats a caption.

    Args:
        encodings: encodings of ``N`` images, or ``2N`` with those of their mirror images last.
        captions: ``N`` captions.
        config: words and sizes; the captions' own words and the default sizes if not given.
        gradient_penalty: weight of the penalty on a slope other than 1 of the caption's logit
            (:func:`melodyconstraints.latent.losses.gradient_penalty`). It distorts the
            probabilities; without it a search finds points to which the network gives a caption
            and whose images do not show it.

    Raises:
        UsageError: the numbers do not fit, or the configuration does not fit encodings and
            captions.
    """
    count, latent_dim = encodings.means.shape
    if not captions or count % len(captions):
        raise UsageError(
            f"{count} encodings need as many captions, or half of that with mirror images, "
            f"got {len(captions)}"
        )
    config = config or CaptionConfig.of(captions, latent_dim)
    if config.latent_dim != latent_dim:
        raise UsageError(
            f"the configuration is for {config.latent_dim} latent dimensions, "
            f"the encodings have {latent_dim}"
        )
    torch.manual_seed(settings.seed)
    device = encodings.means.device
    model = CaptionModel(config).to(device)
    objective = _CaptionLoss(model, encodings, model.encode(captions), gradient_penalty)

    def batch_at(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(settings.seed * SEED_STRIDE + step)
        return encodings.rows(settings.batch_size, generator).to(device)

    train(model, objective, batch_at, settings, callback=callback)
    return model.eval()


class _CaptionLoss(Objective):
    """-log p(caption | z); a batch is the indices ``(B,)`` of encodings."""

    def __init__(
        self, model: CaptionModel, encodings: Encodings, tokens: Tensor, penalty: float = 0.0
    ) -> None:
        super().__init__()
        self.model, self.encodings, self.tokens = model, encodings, tokens
        self.penalty = penalty
        self.noise_size = model.config.latent_dim

    def forward(self, batch: Tensor, progress: float, noise: Tensor) -> Mapping[str, Tensor]:
        """``loss``, and ``caption``, which is -log p in nats without the penalty."""
        points = self.encodings.means[batch]
        if self.encodings.scales is not None:
            points = points + self.encodings.scales[batch] * noise
        tokens = self.tokens[batch % len(self.tokens)]
        unlikely = -self.model.log_probability(points, tokens).mean()
        loss = unlikely
        if self.penalty:
            loss = loss + self.penalty * self._slope(points, tokens)
        return {"loss": loss, "caption": unlikely}

    def _slope(self, points: Tensor, tokens: Tensor) -> Tensor:
        """The penalty at points between those of the batch, with the first one's caption."""
        some = tokens[:_PENALTY_POINTS]

        def logit(z: Tensor) -> Tensor:
            return logit_of_log(self.model.log_probability(z, some))[:, None]

        others = points.roll(1, 0)[:_PENALTY_POINTS]
        return losses.gradient_penalty(logit, points[:_PENALTY_POINTS], others)


def save_captioner(
    captioner: CaptionModel,
    model: ImageVAE,
    folder: Path,
    *,
    card: str = "",
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a captioner folder, weights in half precision; it names its model.

    Args:
        model: the model whose points it reads.

    Raises:
        UsageError: the model was never saved.
    """
    config = {
        "model": model_reference(model, "captioner"),
        "captioner": asdict(captioner.config),
        "training": dict(training or {}),
    }
    save_artifact(folder, KIND, config, halved(captioner), card)


def load_captioner(
    folder: Path | str, *, model: ImageVAE | None = None
) -> tuple[ImageVAE, CaptionModel]:
    """Read a captioner folder and the model that it names.

    Args:
        model: model in place of the one that the folder names; must have the same weights.

    Raises:
        ArtifactError: damaged or foreign, or trained on another model.
    """
    artifact = load_artifact(Path(folder), KIND, _Folder, _REMEDY)
    config = artifact.config
    model = find_model(artifact, config.model, model, load_model)
    captioner = artifact.fill(lambda: CaptionModel(config.captioner))
    return model, captioner.to(model.sigma_bar.device)
