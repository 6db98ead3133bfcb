"""The user's own images and their table, line by line."""

import hashlib
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from melodyconstraints.datasets.images import image_folder
from melodyconstraints.datasets.images.image_folder import (
    ImageFiles,
    decode_image,
    decode_images,
    fit_square,
    read_captions,
    with_captions,
)
from melodyconstraints.datasets.images.read_images import read_images
from melodyconstraints.errors import ImageDataError, UsageError

COLOURS = {"a.png": (255, 0, 0), "b.png": (0, 255, 0), "sub/c.png": (0, 0, 255)}
TABLE = """file,caption,Smiling,Wearing Hat,split
a.png,"Ann, laughing",1,-1,train
b.png,Bob,False,true,train
sub/c.png,Cleo,0,1,test
"""


@pytest.fixture
def folder(tmp_path):
    """Three images of 6x4 in one colour each; no table yet."""
    (tmp_path / "faces" / "sub").mkdir(parents=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (6, 4), colour).save(tmp_path / "faces" / name)
    return tmp_path / "faces"


def read(folder, table, attributes=None, size=4):
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    return read_images(folder, attributes, size=size)


def test_images_have_the_labels_captions_and_split_of_their_line(folder):
    data = read(folder, TABLE)
    assert data.train.images.shape == (2, 4, 4, 3)
    assert data.train.images[:, 0, 0].tolist() == [[255, 0, 0], [0, 255, 0]]
    assert data.train.names == ("Smiling", "Wearing Hat")
    assert data.train.labels.tolist() == [[True, False], [False, True]]
    assert data.train.captions == ("Ann, laughing", "Bob")
    assert data.test.files == ("sub/c.png",)
    assert data.test.labels.tolist() == [[False, True]]
    assert not data.train.exclusive
    assert data.train.source == "faces"


def test_the_checksums_are_those_of_the_table_and_of_all_images(folder):
    data = read(folder, TABLE)
    lines = "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in COLOURS
    )
    assert data.train.checksums == {
        "labels.csv": hashlib.sha256(TABLE.encode()).hexdigest(),
        "images": hashlib.sha256(lines.encode()).hexdigest(),
    }
    assert data.test.checksums == data.train.checksums


def test_attributes_are_chosen_by_name(folder):
    data = read(folder, TABLE, ["wearing_hat"])
    assert data.train.names == ("Wearing Hat",)
    assert data.train.labels.tolist() == [[False], [True]]
    with pytest.raises(UsageError, match="unknown attribute 'Bald'; known are Smiling, Wearing"):
        read(folder, TABLE, ["Bald"])


def test_a_column_of_words_makes_classes_in_alphabetical_order(folder):
    data = read(folder, "\ufeffFile,Label\na.png,dog\n\nb.png,cat\nsub/c.png,dog\n")
    assert data.train.names == ("cat", "dog")
    assert data.train.exclusive
    assert data.train.captions == ()
    labels = {
        file: part.names[part.labels[row].argmax()]
        for part in (data.train, data.test)
        for row, file in enumerate(part.files)
    }
    assert labels == {"a.png": "dog", "b.png": "cat", "sub/c.png": "dog"}


def test_validation_is_left_out_of_both_splits(folder):
    data = read(folder, "file,x,split\na.png,1,Test\nb.png,1,validation\nsub/c.png,0,train\n")
    assert (data.train.files, data.test.files) == (("sub/c.png",), ("a.png",))


def test_grey_images_only_have_one_channel(folder):
    for shade, name in enumerate(COLOURS):
        Image.new("L", (4, 4), 10 * shade).save(folder / name)
    data = read(folder, TABLE)
    assert data.train.images.shape == (2, 4, 4, 1)
    assert data.train.images[:, 0, 0, 0].tolist() == [0, 10]
    Image.new("RGB", (4, 4)).save(folder / "sub" / "c.png")
    assert read(folder, TABLE).train.images.shape == (2, 4, 4, 3)


def test_cameras_turns_are_undone(folder):
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = 255
    turned = Image.fromarray(pixels)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise for display
    turned.save(folder / "a.png", exif=exif)
    image = read(folder, TABLE, size=2).train.images[0]
    assert image[..., 0].tolist() == [[0, 255], [0, 0]]


def test_the_middle_square_is_taken_and_resized_if_need_be():
    columns = np.zeros((4, 8, 3), np.uint8)
    columns[..., 0] = np.arange(8) * 10
    image = Image.fromarray(columns)
    assert np.array_equal(np.asarray(fit_square(image, 4)), columns[:, 2:6])
    assert np.array_equal(np.asarray(fit_square(image, 2, 2)), columns[1:3, 3:5])
    plain = Image.new("RGB", (9, 5), (10, 20, 30))
    for size in (2, 11):
        assert (np.asarray(fit_square(plain, size)) == (10, 20, 30)).all()


def test_resizing_does_not_alias():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    halved = np.asarray(fit_square(Image.fromarray(stripes), 32))[:, 2:-2]
    assert np.abs(halved.astype(int) - 127).max() <= 1


def test_batches_and_threads_keep_the_order(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "BATCH", 7)
    monkeypatch.setattr(image_folder, "ANNOUNCE_EVERY", 14)
    names = [f"{number}.png" for number in range(30)]
    for number, name in enumerate(names):
        Image.new("RGB", (1, 1), (number, 0, 1)).save(tmp_path / name)
    said = []
    found = decode_images(names, ImageFiles(tmp_path), lambda image: image, 1, said.append)
    assert found.images[:, 0, 0, 0].tolist() == list(range(30))
    assert [line.split(" images")[0] for line in said] == [
        "read 14 of 30",
        "read 28 of 30",
        "read 30 of 30",
    ]


def test_images_of_more_than_8_bits_are_refused(folder):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(folder / "a.png")
    with pytest.raises(
        ImageDataError, match=r"image a.png has more than 8 bits a channel \(mode I;16\); save"
    ):
        read(folder, TABLE)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)),
        # more pixels than any picture has
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
        + png_chunk(b"IDAT", b""),
    ],
)
def test_an_image_that_does_not_decode_is_named(data):
    told = r"image a�.png (does not decode: .*; replace it|is of no format .*; save it as PNG)"
    with pytest.raises(ImageDataError, match=told):
        decode_image(data, "a\x1b.png", lambda image: image)


def test_an_image_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(ImageDataError, match=r"a.png cannot be read: .*No such file"):
        ImageFiles(tmp_path).read("a.png")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "has no column 'file'; its first line must name it, found nothing"),
        ("name,x\na.png,1\n", "has no column 'file'; its first line must name it, found name,x"),
        ("file,x,x\na.png,1,1\n", "every column needs a name of its own"),
        ("file,x,\na.png,1,1\n", "every column needs a name of its own"),
        ("file,x\na.png,1\nb.png\n", "line 3: 1 columns, not 2"),
        ("file,x\na.png,1\n,1\n", "line 3: no file; name one in every line"),
        ("file,x\na.png,1\n../a.png,1\n", "line 3: ../a.png is outside the folder"),
        ("file,x\na.png,1\n/a.png,1\n", "line 3: /a.png is outside the folder"),
        ("file,x\na.png,1\na.png,0\n", "line 3: a.png a second time; keep one of the lines"),
        ("file,caption,x\na.png,Ann,1\nb.png,,0\n", "line 3: no caption; give one to every"),
        ("file,x\na.png,1\nb.png,maybe\n", "line 3: x is 'maybe'; an attribute is 0 or 1"),
        ("file,x\na.png,1\nb.png,\n", "line 3: x is ''; an attribute is 0 or 1"),
        ("file,caption\na.png,Ann\nb.png,Bob\n", "has no labels, only file, caption; add"),
        ("file,label,x\na.png,cat,1\n", "has a column 'label' and 'x' besides; keep either"),
        ("file,label\na.png,cat\nb.png,\n", "line 3: no label; give one to every image"),
        ("file,x,split\na.png,1,training\n", "line 2: split is 'training', not train, val"),
        ("file,x,split\na.png,1,train\nb.png,1,train\n", "has 2 images to train on and 0 to"),
        ("file,x\na.png,1\nz.png,1\n", "names 1 of 2 images that .* does not hold, .* z.png"),
        ('file,x\na.png,1\n"b.png,0\n', "cannot be read as CSV in UTF-8"),
    ],
)
def test_a_wrong_table_is_refused(folder, table, message):
    with pytest.raises(ImageDataError, match=f"labels.csv.*{message}"):
        read(folder, table)


def test_one_image_is_too_few_without_a_column_of_splits(folder):
    with pytest.raises(ImageDataError, match="1 labelled images; at least 2 are needed"):
        read(folder, "file,x\na.png,1\n")


def test_a_line_that_runs_on_is_counted_as_an_editor_counts(folder):
    with pytest.raises(ImageDataError, match="line 4: x is '2'"):
        read(folder, 'file,caption,x\na.png,"Ann,\nlaughing",1\nb.png,Bob,2\n')


def test_a_table_in_another_encoding_is_refused(folder):
    (folder / "labels.csv").write_bytes("file,x\nä.png,1\n".encode("latin-1"))
    with pytest.raises(ImageDataError, match="cannot be read as CSV in UTF-8"):
        read_images(folder)


def test_classes_cannot_be_chosen_from(folder):
    with pytest.raises(UsageError, match=r"labels.csv has classes, not attributes"):
        read(folder, "file,label\na.png,cat\nb.png,dog\n", ["cat"])


def test_captions_are_read_and_given_to_images(folder, tmp_path):
    images = read(folder, "file,x\na.png,1\nb.png,0\nsub/c.png,1\n").train
    assert images.captions == ()
    path = tmp_path / "captions.csv"
    path.write_text("caption,file,by\nBob,b.png,me\n Ann ,a.png,me\n..,other.png,\nC,sub/c.png,\n")
    captions = read_captions(path)
    assert captions == {"b.png": "Bob", "a.png": "Ann", "other.png": "..", "sub/c.png": "C"}
    told = with_captions(images, captions)
    assert told.captions == tuple(captions[file] for file in images.files)
    assert images.captions == ()


def test_every_image_needs_a_caption(folder):
    images = read(folder, TABLE).train
    with pytest.raises(
        ImageDataError, match=r"no caption for 1 of 2 images, the first b.png; add a line for each"
    ):
        with_captions(images, {"a.png": "Ann"})


def test_images_without_names_cannot_be_given_captions():
    with pytest.raises(ImageDataError, match="images of digits have no file names, by which"):
        with_captions(read_images("digits").train, {"a.png": "Ann"})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,text\na.png,Ann\n", "captions.csv has no column 'caption'; .* found file,text"),
        ("file,caption\na.png,Ann\na.png,Bob\n", "line 3: a.png a second time"),
        ("file,caption\na.png,\n", "line 2: no caption; give one to every image"),
    ],
)
def test_a_wrong_table_of_captions_is_refused(tmp_path, table, message):
    (tmp_path / "captions.csv").write_text(table)
    with pytest.raises(ImageDataError, match=message):
        read_captions(tmp_path / "captions.csv")


def test_a_table_of_captions_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ImageDataError, match=r"captions.csv cannot be read as CSV.*No such file"):
        read_captions(tmp_path / "captions.csv")
