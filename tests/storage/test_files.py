"""Files that are whole or absent, and text made harmless."""

import errno
import json

import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.files import check_writable, write_atomically
from melodyconstraints.storage.text import printable, unicode_name


def test_an_atomic_write_that_dies_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def die(descriptor):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("os.fsync", die)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_from_files_cannot_steer_a_terminal():
    assert printable("a\x1b[31mb\udc80\nc é") == "a\ufffd[31mb\ufffd\ufffdc é"


def test_names_of_any_bytes_become_text():
    assert unicode_name("é/ü.mid") == "é/ü.mid"
    assert unicode_name("bad\udcff\udcfe.mid") == "bad\\xff\\xfe.mid"
    json.dumps(unicode_name("bad\udcff.mid")).encode("utf-8")


@pytest.mark.parametrize("place", ["new", "new/below/it", "folder", "file"])
def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    check_writable(tmp_path / place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize(
    ("place", "reason"),
    [("file/new", "Not a directory"), ("x" * 300 + "/new", "File name too long")],
)
def test_a_place_that_cannot_be_written_is_refused(tmp_path, place, reason):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"cannot be written: .*: {reason}; choose another"):
        check_writable(tmp_path / place)
