"""idx files byte by byte, MNIST told from others, and the real ones where they are."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from melodyconstraints.datasets.images import mnist
from melodyconstraints.datasets.images.mnist import is_original, parse_idx, read_digits
from melodyconstraints.datasets.images.read_images import read_images
from melodyconstraints.errors import ImageDataError, UsageError

REAL = Path(__file__).parents[4] / "shared" / "data" / "images" / "mnist"

IMAGES = bytes.fromhex(
    "0000 08 03"  # unsigned bytes in three dimensions
    "00000003 00000001 00000002"  # three images of one row and two columns
    "00ff 0102 8040"
)
LABELS = bytes.fromhex("0000 08 01 00000003 02 00 01")
TEST_IMAGES = bytes.fromhex("0000 08 03 00000001 00000001 00000002 0708")
TEST_LABELS = bytes.fromhex("0000 08 01 00000001 03")
CONTENTS = {
    "train-images-idx3-ubyte": IMAGES,
    "train-labels-idx1-ubyte": LABELS,
    "t10k-images-idx3-ubyte": TEST_IMAGES,
    "t10k-labels-idx1-ubyte": TEST_LABELS,
}


@pytest.fixture
def folder(tmp_path):
    """The four files, uncompressed."""
    for name, data in CONTENTS.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_pixels_and_labels_are_those_of_the_bytes(folder):
    data = read_images(folder)
    assert data.train.images.shape == (3, 1, 2, 1)
    assert data.train.images.ravel().tolist() == [0, 255, 1, 2, 128, 64]
    assert data.train.images.flags.writeable
    assert data.train.names == data.test.names == ("0", "1", "2", "3")
    assert data.train.labels.argmax(1).tolist() == [2, 0, 1]
    assert data.train.labels.sum() == 3
    assert data.train.exclusive
    assert data.test.images.ravel().tolist() == [7, 8]
    assert data.test.labels.tolist() == [[False, False, False, True]]
    assert data.train.files == data.train.captions == ()


def test_the_checksums_name_the_contents_of_each_split(folder):
    data = read_images(folder)
    assert data.train.checksums == {
        name: hashlib.sha256(CONTENTS[name]).hexdigest()
        for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
    }
    assert set(data.test.checksums) == {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}


def test_compressed_and_dotted_files_are_the_same_data(folder):
    plain = read_images(folder)
    for number, (name, data) in enumerate(CONTENTS.items()):
        (folder / name).unlink()
        spelling = name.replace("-idx", ".idx") if number % 2 else name
        (folder / f"{spelling}.gz").write_bytes(gzip.compress(data))
    packed = read_images(folder)
    assert np.array_equal(packed.train.images, plain.train.images)
    assert packed.train.checksums == plain.train.checksums


def test_files_that_are_not_mnist_itself_are_idx(folder, monkeypatch):
    assert read_images(folder).train.source == "idx"
    own = {name: hashlib.md5(data).hexdigest() for name, data in CONTENTS.items()}  # noqa: S324
    monkeypatch.setattr(mnist, "ORIGINAL_MD5", own)
    assert read_images(folder).train.source == "mnist"
    assert is_original(CONTENTS)
    assert not is_original(CONTENTS | {"t10k-labels-idx1-ubyte": LABELS})


def test_attributes_cannot_be_chosen_from_classes(folder):
    with pytest.raises(UsageError, match=r"has classes, not attributes, .* leave out Smiling"):
        read_images(folder, ["Smiling"])


def test_the_reading_is_announced(folder):
    said = []
    read_images(folder, announce=said.append)
    assert said == [f"reading {folder}"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no idx file of bytes in 1 .* it starts with nothing, not 00 00 08 01"),
        (IMAGES, "it starts with 00 00 08 03, not 00 00 08 01; download it again"),
        (b"\0\0\x0d\x01" + LABELS[4:], "it starts with 00 00 0d 01, not 00 00 08 01"),
        (b"<html>", "it starts with 3c 68 74 6d, not"),
        (LABELS[:6], "labels ends within its header, at byte 6 of 8; download it again"),
        (LABELS[:-1], "labels is truncated: 3 values make 11 bytes, found 10; download it again"),
        (
            LABELS + b"\0",
            "labels is too long: 3 values make 11 bytes, found 12; download it again",
        ),
        (LABELS[:4] + bytes(4), "labels is empty: it has 0 values"),
    ],
)
def test_foreign_and_damaged_bytes_are_refused(data, message):
    with pytest.raises(ImageDataError, match=message):
        parse_idx(data, 1, "labels")


def test_dimensions_that_no_memory_holds_are_a_truncated_file():
    data = IMAGES[:4] + b"\xff" * 12 + b"\0"
    with pytest.raises(ImageDataError, match=r"truncated: 4294967295 x 4294967295 x 4294967295"):
        parse_idx(data, 3, "images")


@pytest.mark.parametrize("name", CONTENTS)
def test_each_of_the_four_files_must_be_there(folder, name):
    (folder / name).unlink()
    with pytest.raises(
        ImageDataError, match=f"has no {name}, raw or .gz; MNIST is four files: train-images"
    ):
        read_images(folder)


def test_images_and_labels_must_be_as_many(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(TEST_LABELS)
    with pytest.raises(
        ImageDataError,
        match="3 images in train-images-idx3-ubyte, but 1 labels in train-labels-idx1-ubyte",
    ):
        read_images(folder)


def test_both_splits_have_images_of_one_size(folder):
    turned = bytes.fromhex("0000 08 03 00000001 00000002 00000001 0708")
    (folder / "t10k-images-idx3-ubyte").write_bytes(turned)
    with pytest.raises(ImageDataError, match="to train on are 2x1, to test with 1x2; take all"):
        read_images(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-9],
        lambda packed: packed[:12] + b"\xff\xff\xff" + packed[15:],
        lambda packed: packed[:-8] + bytes(4) + packed[-4:],
        lambda packed: b"<html>" + packed,
    ],
    ids=["truncated", "deflate", "checksum", "foreign"],
)
def test_a_damaged_gzip_is_refused(folder, damage):
    (folder / "train-images-idx3-ubyte").unlink()
    packed = damage(gzip.compress(IMAGES))
    (folder / "train-images-idx3-ubyte.gz").write_bytes(packed)
    with pytest.raises(ImageDataError, match=r"idx3-ubyte.gz cannot be read: .*download it again"):
        read_images(folder)


def test_a_gzip_is_unpacked_up_to_a_limit(folder, monkeypatch):
    monkeypatch.setattr(mnist, "_MOST_BYTES", len(IMAGES) - 1)
    (folder / "train-images-idx3-ubyte").unlink()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(IMAGES))
    with pytest.raises(ImageDataError, match=r"ubyte.gz has more than \d+ bytes; take fewer"):
        read_images(folder)


def test_the_small_digits_are_scaled_to_full_range_and_split_without_overlap():
    data = read_digits()
    assert data.train.images.shape == (1438, 8, 8, 1)
    assert (data.train.images.min(), data.train.images.max()) == (0, 255)
    assert set(np.unique(data.train.images)) == {round(n * 255 / 16) for n in range(17)}
    assert data.train.names == tuple("0123456789")
    both = np.concatenate([data.train.labels, data.test.labels]).sum(0)
    assert both.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert data.train.checksums == data.test.checksums
    test = {image.tobytes() for image in data.test.images}
    assert not test & {image.tobytes() for image in data.train.images}


def test_the_real_mnist_has_the_published_counts():
    if not REAL.is_dir():
        pytest.skip("no real MNIST beside the project")
    data = read_images(REAL)
    assert data.train.source == data.test.source == "mnist"
    assert data.train.images.shape == (60_000, 28, 28, 1)
    assert data.train.labels.sum(0).tolist() == [
        *(5923, 6742, 5958, 6131, 5842),
        *(5421, 5918, 6265, 5851, 5949),
    ]
    assert data.test.labels.sum(0).tolist() == [
        *(980, 1135, 1032, 1010, 982),
        *(892, 958, 1028, 974, 1009),
    ]
    first = data.train.labels[:5].argmax(1).tolist()
    assert first == [5, 0, 4, 1, 9]
