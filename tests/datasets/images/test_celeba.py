"""CelebA's layout, hand-written and with drawn images, and the real part of it where it is."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from melodyconstraints.datasets.images.celeba import PAPER_ATTRIBUTES
from melodyconstraints.datasets.images.read_images import read_images
from melodyconstraints.errors import ImageDataError, UsageError

REAL = Path(__file__).parents[4] / "shared" / "data" / "images" / "celeba64"

LIST = """3
Bald No_Beard Smiling
a.png -1  1 -1
b.png  1 -1 -1
c.png -1  1  1
"""
COLOURS = {"a.png": (255, 0, 0), "b.png": (0, 255, 0), "c.png": (0, 0, 255)}
ATTRIBUTES = ["Smiling", "Bald"]


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def plain(colour, size=(4, 4)) -> bytes:
    """A PNG of one colour."""
    return png(Image.new("RGB", size, colour))


FILES = {name: plain(colour) for name, colour in COLOURS.items()}


def write_zip(folder: Path, files: dict[str, bytes], inside="img_align_celeba/") -> Path:
    path = folder / "img_align_celeba.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(inside + name, data)
    return path


@pytest.fixture
def folder(tmp_path):
    """Three images of 4x4 in a zip file, and their list."""
    (tmp_path / "list_attr_celeba.txt").write_text(LIST)
    write_zip(tmp_path, FILES)
    return tmp_path


def by_file(data) -> dict[str, tuple[list[int], list[bool]]]:
    """First pixel and labels of all images of both splits."""
    return {
        file: (part.images[row, 0, 0].tolist(), part.labels[row].tolist())
        for part in (data.train, data.test)
        for row, file in enumerate(part.files)
    }


def test_each_image_has_its_own_labels_in_the_order_asked_for(folder):
    data = read_images(folder, ["smiling", "BALD"], size=4)
    assert data.train.images.shape == (2, 4, 4, 3)
    assert data.train.names == ("Smiling", "Bald")
    assert not data.train.exclusive
    assert data.train.source == "celeba"
    assert by_file(data) == {
        "a.png": ([255, 0, 0], [False, False]),
        "b.png": ([0, 255, 0], [False, True]),
        "c.png": ([0, 0, 255], [True, False]),
    }


@pytest.mark.parametrize("name", ["Facial_Hair", "beard", "facial hair"])
def test_facial_hair_is_what_is_not_no_beard(folder, name):
    data = read_images(folder, [name, "No_Beard"], size=4)
    assert data.train.names == ("Facial_Hair", "No_Beard")
    assert {file: labels for file, (_, labels) in by_file(data).items()} == {
        "a.png": [False, True],
        "b.png": [True, False],
        "c.png": [False, True],
    }


def test_without_no_beard_there_is_no_facial_hair(folder):
    (folder / "list_attr_celeba.txt").write_text(LIST.replace("No_Beard", "Goatee"))
    with pytest.raises(UsageError, match="unknown attribute 'Beard'; known are Bald, Goatee, Sm"):
        read_images(folder, ["Beard"], size=4)


def test_the_papers_ten_are_the_default(folder):
    names = [*(name for name in PAPER_ATTRIBUTES if name != "Facial_Hair"), "No_Beard"]
    rows = "".join(f"{file} {'1 ' * 9}-1\n" for file in FILES)
    (folder / "list_attr_celeba.txt").write_text(f"3\n{' '.join(names)}\n{rows}\n\n")
    data = read_images(folder, size=4)
    assert data.train.names == PAPER_ATTRIBUTES
    assert data.train.labels.all()


def test_an_attribute_that_the_list_lacks_is_refused_with_those_it_has(folder):
    with pytest.raises(
        UsageError,
        match="unknown attribute 'Hat'; known are Bald, No_Beard, Smiling, Facial_Hair",
    ):
        read_images(folder, ["Hat"], size=4)


def test_a_folder_of_images_is_the_same_as_a_zip_but_for_its_checksum(folder):
    packed = read_images(folder, ATTRIBUTES, size=4)
    archive = (folder / "img_align_celeba.zip").read_bytes()
    assert packed.train.checksums == {
        "list_attr_celeba.txt": hashlib.sha256(LIST.encode()).hexdigest(),
        "img_align_celeba.zip": hashlib.sha256(archive).hexdigest(),
    }
    images = folder / "img_align_celeba"
    images.mkdir()
    for name, data in FILES.items():
        (images / name).write_bytes(data)
    (images / "unlisted.png").write_bytes(b"no image")
    loose = read_images(folder, ATTRIBUTES, size=4)
    assert by_file(loose) == by_file(packed)
    lines = "".join(f"{hashlib.sha256(FILES[name]).hexdigest()}  {name}\n" for name in FILES)
    assert loose.train.checksums["img_align_celeba"] == hashlib.sha256(lines.encode()).hexdigest()


def test_images_lie_anywhere_in_the_zip_and_unlisted_ones_are_ignored(folder):
    write_zip(folder, FILES | {"d.png": b"no image"}, inside="")
    assert sorted(by_file(read_images(folder, ATTRIBUTES, size=4))) == sorted(FILES)


def test_full_size_images_are_cropped_to_the_middle_and_halved(folder):
    """A slope of 1 a pixel in both directions: two pixels' mean is halfway between them."""
    slope = np.zeros((218, 178, 3), np.uint8)
    slope[:, :, 0] = np.arange(178)
    slope[:, :, 1] = np.arange(218)[:, None]
    write_zip(folder, dict.fromkeys(FILES, png(Image.fromarray(slope))))
    image = read_images(folder, ATTRIBUTES).train.images[0].astype(float)
    assert image.shape == (64, 64, 3)
    inner = np.arange(2, 62)  # the edges' means reach over the edge
    assert np.abs(image[2:-2, 2:-2, 0] - (25.5 + 2 * inner)).max() <= 0.5
    assert np.abs(image[2:-2, 2:-2, 1] - (45.5 + 2 * inner[:, None])).max() <= 0.5
    uncut = read_images(folder, ATTRIBUTES, size=128).train.images[0]
    assert np.array_equal(uncut, slope[45:173, 25:153])


@pytest.mark.parametrize(
    ("found", "size", "message"),
    [
        ((5, 5), 4, "b.png is 5x5; CelebA's are 178x218, or 4x4 if reduced: ask for size 5"),
        ((178, 200), 4, "b.png is 178x200; CelebA's are 178x218, or 4x4 if reduced$"),
        ((178, 218), 129, "b.png is 178x218; .* or 129x129 if reduced: ask for at most 128"),
    ],
)
def test_images_of_another_size_are_refused(folder, found, size, message):
    images = dict.fromkeys(FILES, plain((0, 0, 0), (size, size)))
    write_zip(folder, images | {"b.png": plain((0, 0, 0), found)})
    with pytest.raises(ImageDataError, match=message):
        read_images(folder, ATTRIBUTES, size=size)


def test_the_partition_gives_the_splits_and_validation_is_left_out(folder):
    (folder / "list_eval_partition.txt").write_text("a.png 2\nc.png 0\nb.png 1\nd.png 0\n")
    data = read_images(folder, ATTRIBUTES, size=4)
    assert (data.train.files, data.test.files) == (("c.png",), ("a.png",))
    assert data.train.labels.tolist() == [[True, False]]
    assert "list_eval_partition.txt" in data.train.checksums


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        ("a.png 0\nb.png 3\n", "line 2: partition '3' is none of 0"),
        ("a.png 0\nb.png\n", "line 2: 1 columns, not 2; download it again"),
        ("a.png 0\na.png 2\n", "line 2: a.png a second time"),
        ("a.png 0\nb.png 2\n", "no line for 1 of 3 images, the first c.png; without the file"),
        (
            "a.png 0\nb.png 0\nc.png 1\n",
            "has 2 of the images in train and 0 in test; both are needed",
        ),
    ],
)
def test_a_wrong_partition_is_refused(folder, partition, message):
    (folder / "list_eval_partition.txt").write_text(partition)
    with pytest.raises(ImageDataError, match=f"list_eval_partition.txt.*{message}"):
        read_images(folder, ATTRIBUTES, size=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin with a count of images and a line of names, found 'nothing'"),
        ("Bald No_Beard\na.png 1 1\n", "a line of names, found 'Bald No_Beard'"),
        (LIST.replace("3", "4", 1), "announces 4 images and lists 3; download it again"),
        (LIST.replace("b.png  1 -1 -1", "b.png  1 -1"), "line 4: 3 columns, not 4"),
        (LIST.replace("b.png  1", "b.png  0"), "line 4: Bald is '0'; an attribute is -1 or 1"),
        (LIST.replace("c.png", "a.png"), "line 5: a.png a second time"),
    ],
)
def test_a_wrong_list_is_refused(folder, text, message):
    (folder / "list_attr_celeba.txt").write_text(text)
    with pytest.raises(ImageDataError, match=f"list_attr_celeba.txt.*{message}"):
        read_images(folder, ATTRIBUTES, size=4)


def test_a_list_that_is_no_text_is_refused(folder):
    (folder / "list_attr_celeba.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ImageDataError, match=r"list_attr_celeba.txt cannot be read as text"):
        read_images(folder, ATTRIBUTES, size=4)


def test_no_images_beside_the_list_are_refused(folder):
    (folder / "img_align_celeba.zip").unlink()
    with pytest.raises(
        ImageDataError, match=r"neither img_align_celeba/ nor img_align_celeba.zip beside it"
    ):
        read_images(folder, ATTRIBUTES, size=4)


@pytest.mark.parametrize("unpacked", [False, True])
def test_listed_images_must_all_be_there(folder, unpacked):
    if unpacked:
        (folder / "img_align_celeba").mkdir()
        (folder / "img_align_celeba" / "a.png").write_bytes(FILES["a.png"])
    else:
        write_zip(folder, {"a.png": FILES["a.png"]})
    with pytest.raises(
        ImageDataError,
        match=r"list_attr_celeba.txt names 2 of 3 images that .* does not hold, the first b.png",
    ):
        read_images(folder, ATTRIBUTES, size=4)


@pytest.mark.parametrize("data", [b"", b"no image", FILES["b.png"][:-20]])
def test_an_image_that_does_not_decode_is_named(folder, data):
    write_zip(folder, FILES | {"b.png": data})
    told = r"image b.png (does not decode: .*; replace it|is of no format .*; save it as PNG)"
    with pytest.raises(ImageDataError, match=told):
        read_images(folder, ATTRIBUTES, size=4)


def test_a_truncated_zip_is_refused(folder):
    path = folder / "img_align_celeba.zip"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        ImageDataError, match=r"img_align_celeba.zip is truncated or damaged: .*download it again"
    ):
        read_images(folder, ATTRIBUTES, size=4)


def test_a_zip_that_is_damaged_at_an_image_is_refused(folder):
    path = folder / "img_align_celeba.zip"
    data = path.read_bytes()
    place = data.index(FILES["b.png"]) + 40
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(ImageDataError, match=r"is truncated or damaged: Bad CRC-32"):
        read_images(folder, ATTRIBUTES, size=4)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (zipfile.ZIP_DEFLATED, "b.png has more than 16,777,216 bytes"),
        (zipfile.ZIP_LZMA, "b.png is not packed by deflate"),
    ],
)
def test_a_zip_that_would_fill_the_memory_is_refused(folder, method, message):
    path = folder / "img_align_celeba.zip"
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, data in (FILES | {"b.png": bytes(1 << 25)}).items():
            how = method if name == "b.png" else zipfile.ZIP_STORED
            packed.writestr(name, data, how)
    lie = (1 << 25).to_bytes(4, "little")  # it says itself how much there is: less
    path.write_bytes(path.read_bytes().replace(lie, (100).to_bytes(4, "little")))
    told = message if method == zipfile.ZIP_LZMA else "is truncated or damaged"
    with pytest.raises(ImageDataError, match=told):
        read_images(folder, ATTRIBUTES, size=4)
    path.write_bytes(path.read_bytes().replace((100).to_bytes(4, "little"), lie))
    with pytest.raises(ImageDataError, match=message):
        read_images(folder, ATTRIBUTES, size=4)


def test_the_reading_is_announced(folder):
    said = []
    read_images(folder, ATTRIBUTES, size=4, announce=said.append)
    path = folder / "img_align_celeba.zip"
    assert said == [f"read 2 of 2 images of {path}", f"read 1 of 1 images of {path}"]


def test_the_real_faces_are_split_and_labelled_plausibly():
    if not REAL.is_dir():
        pytest.skip("no real CelebA beside the project")
    data = read_images(REAL)
    assert data.train.images.shape == (13_500, 64, 64, 3)
    assert data.test.images.shape == (2_000, 64, 64, 3)
    assert not set(data.train.files) & set(data.test.files)
    assert data.train.names == PAPER_ATTRIBUTES
    with zipfile.ZipFile(REAL / "img_align_celeba.zip") as packed:
        for row in (0, 13_499):
            name = data.train.files[row]
            with Image.open(packed.open(f"img_align_celeba/{name}")) as image:
                assert np.array_equal(np.asarray(image), data.train.images[row])
    rows = (REAL / "list_attr_celeba.txt").read_text().splitlines()
    smiling = rows[1].split().index("Smiling") + 1
    positives = sum(row.split()[smiling] == "1" for row in rows[2:])
    place = PAPER_ATTRIBUTES.index("Smiling")
    found = data.train.labels[:, place].sum() + data.test.labels[:, place].sum()
    assert found == positives
    shares = data.train.labels.mean(0) - data.test.labels.mean(0)
    assert np.abs(shares).max() < 0.05  # over four standard errors of the smaller split
