"""The door to all image data: which layout is recognised, which labels chosen, which rows held."""

import numpy as np
import pytest

from melodyconstraints.datasets.images.labelled_images import (
    LabelledImages,
    find_names,
    split_rows,
)
from melodyconstraints.datasets.images.read_images import read_images
from melodyconstraints.errors import ImageDataError, UsageError


def images_of(**changed) -> LabelledImages:
    """Three images of one pixel, "a", "b" and "c"."""
    given = {
        "images": np.array([10, 20, 30], np.uint8).reshape(3, 1, 1, 1),
        "labels": np.array([[1, 0], [0, 1], [1, 1]], bool),
        "names": ("Smiling", "Young"),
        "exclusive": False,
        "files": ("a", "b", "c"),
        "captions": ("A.", "B.", "C."),
        "source": "tiny",
        "checksums": {},
    }
    return LabelledImages(**(given | changed))


def test_taken_rows_keep_their_labels_files_and_captions():
    taken = images_of().take([2, 0])
    assert len(taken) == 2
    assert taken.images.ravel().tolist() == [30, 10]
    assert taken.labels.tolist() == [[True, True], [True, False]]
    assert (taken.files, taken.captions) == (("c", "a"), ("C.", "A."))
    assert (taken.names, taken.source) == (("Smiling", "Young"), "tiny")


def test_no_rows_and_no_files_can_be_taken():
    taken = images_of(files=(), captions=()).take([])
    assert (len(taken), taken.labels.shape) == (0, (0, 2))
    assert taken.files == taken.captions == ()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"images": np.zeros((3, 1, 1), np.uint8)},
            r"images must be \(N, H, W, 1 or 3\), got \(3, 1, 1\)",
        ),
        ({"images": np.zeros((3, 1, 1, 4), np.uint8)}, r"got \(3, 1, 1, 4\)"),
        (
            {"names": ("Smiling",)},
            r"labels must be \(images, names\) = \(3, 1\), got \(3, 2\)",
        ),
        (
            {"exclusive": True},
            "labels are exclusive, but not exactly one holds for every image",
        ),
        ({"files": ("a",)}, "files must be one per image or none, got 1 for 3"),
        ({"captions": ("A.", "B.")}, "captions must be one per image or none, got 2 for 3"),
    ],
)
def test_what_does_not_belong_together_is_refused(changed, message):
    with pytest.raises(UsageError, match=message):
        images_of(**changed)


@pytest.mark.parametrize(
    ("count", "held_out"),
    [(2, 1), (9, 1), (10, 2), (9_999, 1_999), (15_500, 2_000), (10**5, 2000)],
)
def test_a_fifth_and_at_most_2000_rows_are_held_out(count, held_out):
    train, test = split_rows(count)
    assert len(test) == held_out
    assert sorted([*train, *test]) == list(range(count))
    assert (np.diff(train) > 0).all()
    assert np.array_equal(split_rows(count)[1], test)


def test_one_image_cannot_be_split():
    with pytest.raises(ImageDataError, match="1 labelled images; at least 2 are needed"):
        split_rows(1)


def test_attributes_are_found_whatever_their_case_and_separators():
    known = ["5_o_Clock_Shadow", "Facial_Hair", "Young"]
    wanted = ["young", "5-o clock_shadow", "BEARD"]
    assert find_names(wanted, known, {"Beard": "Facial_Hair"}) == (
        "Young",
        "5_o_Clock_Shadow",
        "Facial_Hair",
    )


def test_an_unknown_attribute_is_refused_with_those_that_are_known():
    with pytest.raises(UsageError, match="unknown attribute 'Happy'; known are Smiling, Young"):
        find_names(["young", "Happy"], ["Smiling", "Young"])


def test_an_attribute_is_named_once():
    with pytest.raises(UsageError, match="attribute Young is named twice; name each once"):
        find_names(["young", "Young"], ["Smiling", "Young"])


def test_the_word_digits_needs_no_files():
    data = read_images("digits")
    assert (len(data.train), len(data.test), data.train.source) == (1438, 359, "digits")


def test_a_folder_called_digits_is_read_as_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    with pytest.raises(ImageDataError, match="digits holds no labelled images"):
        read_images("digits")


def test_classes_cannot_be_chosen_from():
    with pytest.raises(
        UsageError,
        match="digits has classes, not attributes, and they come together; leave out Young, 3",
    ):
        read_images("digits", ["Young", "3"])


@pytest.mark.parametrize("size", [0, -1])
def test_images_have_at_least_one_pixel(size):
    with pytest.raises(UsageError, match=f"size must be at least 1 pixel, got {size}"):
        read_images("digits", size=size)


def test_no_attribute_at_all_is_refused():
    with pytest.raises(UsageError, match="no attribute is named; name at least one"):
        read_images("digits", [])


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ImageDataError, match="faces is not a folder; give one with images, or 'd"):
        read_images(tmp_path / "faces")


def test_a_folder_of_another_kind_is_refused_with_what_was_looked_for_and_found(tmp_path):
    looked_for = (
        r"holds no labelled images: looked for train-images-idx3-ubyte \(MNIST\), "
        r"list_attr_celeba.txt \(CelebA\) and labels.csv, found "
    )
    with pytest.raises(ImageDataError, match=looked_for + "nothing$"):
        read_images(tmp_path)
    for number in range(12):
        (tmp_path / f"{number:02}.jpg").touch()
    with pytest.raises(ImageDataError, match=looked_for + "00.jpg, .*09.jpg, and 2 more$"):
        read_images(tmp_path)
