"""From captioned images to a captioner folder: what ``mc images train-captions`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from melodyconstraints.datasets.images.image_folder import read_captions, with_captions
from melodyconstraints.datasets.images.labelled_images import ImageData, LabelledImages
from melodyconstraints.images.captions import (
    KIND,
    TRAINING,
    CaptionConfig,
    CaptionModel,
    save_captioner,
    train_captions,
)
from melodyconstraints.images.grammar import describe
from melodyconstraints.images.model import ImageVAE
from melodyconstraints.images.vocabulary import words_of
from melodyconstraints.storage.artifacts import artifact_size, claimed
from melodyconstraints.vae.state import TrainingState
from melodyconstraints.vae.training import TrainingSettings
from melodyconstraints.workflows.images.card import image_card
from melodyconstraints.workflows.images.image_data import check_fits, encode_labelled, tensors

DESCRIBED = 500
"""Most test images that the trained captioner describes, to be compared with their captions."""


@dataclass(frozen=True)
class CaptionedImages:
    """Captions of test images, and those that a trained captioner reads.

    Args:
        pairs: the caption of each image, and the captioner's of its latent point.
        example: a caption that the captioner can read, as it reads it.
    """

    pairs: tuple[tuple[str, str], ...]
    example: str

    @property
    def exact(self) -> float:
        """Share of images whose caption is read to the word."""
        return sum(caption == read for caption, read in self.pairs) / len(self.pairs)


def train_captions_folder(
    data: ImageData,
    model: ImageVAE,
    output: Path,
    settings: TrainingSettings = TRAINING,
    *,
    table: Path | None = None,
    overwrite: bool = False,
    callback: Callable[[TrainingState], None] | None = None,
) -> CaptionedImages:
    """Train a captioner and write the folder with its card.

    Args:
        table: a CSV of file and caption; if not given, the captions are those of the images, or,
            where they have none, made from their labels.

    Raises:
        UsageError: images of another shape than the model's, a folder that must not be replaced,
            or one that its disk has no room for.
        StoreError: another training is at work in the folder.
        ImageDataError: a table that does not fit the images.
    """
    check_fits(model, data.train)
    train, test = (_captioned(images, table) for images in (data.train, data.test))
    config = CaptionConfig.of(train.captions, model.latent_dim)
    room = artifact_size(lambda: CaptionModel(config), half=True)
    with claimed(output, KIND, overwrite=overwrite, size=room):
        captioner = train_captions(
            encode_labelled(model, train), train.captions, settings, callback=callback
        )
        held_out, _ = tensors(test)
        read = captioner.describe_points(model.encode(held_out[:DESCRIBED]).mean)
        # A caption of the test images may have words that the captioner does not know.
        example = test.captions[0] if test.captions[0] in train.captions else train.captions[0]
        captioned = CaptionedImages(
            tuple(zip(test.captions, read, strict=False)),
            " ".join(words_of(example)).replace(" ,", ","),
        )
        card = image_card(
            "Captioner of images",
            f"Reads captions in points of the image model `{model.fingerprint[:12]}`.",
            data,
            asdict(settings),
            {f"captions of the first {len(read)} read to the word": f"{captioned.exact:.1%}"},
        )
        save_captioner(captioner, model, output, card=card)
    return captioned


def _captioned(images: LabelledImages, table: Path | None) -> LabelledImages:
    if table is not None:
        return with_captions(images, read_captions(table))
    if images.captions:
        return images
    captions = tuple(
        describe(images.names, labels, exclusive=images.exclusive) for labels in images.labels
    )
    return replace(images, captions=captions)
