"""Where MIDI files are found: real folders, their oddities, and object storage by ``file://``."""

import gzip
import os
import random
import shutil
import socket
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.datasets.melodies.files import (
    Listing,
    LocalFolder,
    RemoteFolder,
    find_midi_files,
    is_midi_name,
    open_folder,
)
from melodyconstraints.errors import MidiError, UsageError
from melodyconstraints.melody.midi.files import TooLargeError

LIMIT = 100
BYTES = bytes(range(50))


def put(folder: Path, *names: str) -> Path:
    """Files that hold their names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def local(folder: Path) -> LocalFolder:
    return LocalFolder(str(folder))


def remote(folder: Path) -> RemoteFolder:
    return RemoteFolder(f"file://{quote(str(folder))}")


BOTH = pytest.mark.parametrize("kind", [local, remote])


@pytest.mark.parametrize(
    ("name", "is_midi"),
    [
        ("a.mid", True),
        ("a.MID", True),
        ("a.Midi", True),
        ("a.kar", True),
        ("a.rMi", True),
        ("deep.er/a.mid", True),
        ("a.b.mid", True),
        ("..mid", True),
        ("a.mid.gz", True),
        ("deep.er/a.KAR.GZ", True),
        ("a.gz", False),
        ("a.txt.gz", False),
        ("._a.mid", False),  # AppleDouble: what macOS knows of a.mid
        ("__MACOSX/b/._a.mid", False),
        ("._b/a.mid", True),
        ("a.midi2", False),
        ("mid", False),
        (".mid", False),  # a hidden file without a suffix
        ("a.mid/.mid", False),
        (".a.mid", True),
        ("a.mid/b", False),
        ("a.mid ", False),
        ("", False),
    ],
)
def test_the_suffix_in_any_case_says_what_is_midi(name, is_midi):
    assert is_midi_name(name) is is_midi


@BOTH
def test_files_are_found_at_any_depth(tmp_path, kind):
    names = ["a.mid", "b/c.MID", "b/d/e/f/g/h.midi", "b/d/i.kar", "ä ö/j%20#?.rmi", "b.mid"]
    put(tmp_path, *names, "b/notes.txt", "README", "b/mid", "b/k.gz", "b/._c.mid")
    (tmp_path / "empty").mkdir()
    folder = kind(tmp_path)
    assert sorted(folder.listing().names) == sorted(names)
    assert [folder.read(name, LIMIT).decode() for name in names] == names


@BOTH
def test_a_folder_that_is_named_like_a_file_is_passed_by(tmp_path, kind):
    put(tmp_path, "album.mid/tune.mid")
    (tmp_path / "empty.mid").mkdir()
    assert kind(tmp_path).listing().names == ["album.mid/tune.mid"]
    with pytest.raises(MidiError, match=r"^cannot be read: "):
        kind(tmp_path).read("empty.mid", LIMIT)


def test_what_a_folder_at_a_files_place_is_called(tmp_path):
    (tmp_path / "empty.mid").mkdir()
    with pytest.raises(MidiError, match=r"^cannot be read: it is not a regular file$"):
        local(tmp_path).read("empty.mid", LIMIT)


@BOTH
def test_files_are_in_path_order_folder_by_folder(tmp_path, kind):
    in_order = [
        "a.mid",
        "b/a.mid",
        "b/c/z.mid",
        "b/d.mid",
        "b!.mid",
        "b-c/a.mid",
        "b.mid",
        "ba.mid",
    ]
    put(tmp_path, *in_order)
    assert find_midi_files(kind(tmp_path)).names == in_order
    assert in_order != sorted(in_order)  # there "b!.mid" comes before "b/a.mid"


class _Listed:
    """A folder of these names."""

    def __init__(self, names):
        self._names = names

    def __str__(self):
        return "somewhere"

    def listing(self, exclude):
        names = [n for n in self._names if not any(fnmatch(n, pattern) for pattern in exclude)]
        return Listing(random.sample(names, len(names)))

    def read(self, name, max_bytes):
        raise NotImplementedError


PART = st.text(st.sampled_from("ab.-! \x01~é\udce9"), min_size=1, max_size=3)
NAMES = st.lists(st.lists(PART, min_size=1, max_size=4).map("/".join), min_size=1, unique=True)


@settings(max_examples=100)
@given(NAMES)
def test_path_order_compares_folder_by_folder(names):
    expected = sorted(names, key=lambda name: name.split("/"))
    assert find_midi_files(_Listed(names)).names == expected


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["deep/*"], ["a.mid", "also-deep.mid"]),
        (["*deep*"], ["a.mid"]),
        (["a.mid", "also-*"], ["deep/er/b.mid"]),
        (["*/b.mid"], ["a.mid", "also-deep.mid"]),
        (["b.mid", "DEEP/*", "/a.mid", "er/*"], ["a.mid", "also-deep.mid", "deep/er/b.mid"]),
        (["?.mid"], ["also-deep.mid", "deep/er/b.mid"]),
        (["[!a]*"], ["a.mid", "also-deep.mid"]),
        ([], ["a.mid", "also-deep.mid", "deep/er/b.mid"]),
    ],
)
def test_excluded_patterns_are_matched_against_the_path_below_the_folder(patterns, left):
    folder = _Listed(["a.mid", "also-deep.mid", "deep/er/b.mid"])
    assert find_midi_files(folder, iter(patterns)).names == left


@BOTH
def test_a_folder_without_midi_files_is_refused(tmp_path, kind):
    folder = kind(put(tmp_path, "song.mp3"))
    text = r" holds no MIDI file \(\.kar, \.mid, \.midi, \.rmi\)$"
    with pytest.raises(UsageError, match=f"{tmp_path.name}{text}"):
        find_midi_files(folder)
    put(tmp_path, "tune.mid")
    with pytest.raises(UsageError, match=f"{tmp_path.name}{text}"):
        find_midi_files(folder, ["*.mid"])


def test_links_to_files_are_files_and_links_to_folders_are_not_followed(tmp_path):
    folder, elsewhere = tmp_path / "midi", put(tmp_path / "elsewhere", "far.mid", "er/still.mid")
    put(folder, "near.mid")
    (folder / "link.mid").symlink_to(elsewhere / "far.mid")
    (folder / "other").symlink_to(elsewhere, target_is_directory=True)
    (folder / "folder.mid").symlink_to(elsewhere, target_is_directory=True)
    (folder / "round").symlink_to(folder, target_is_directory=True)
    assert sorted(local(folder).listing().names) == ["link.mid", "near.mid"]
    assert local(folder).read("link.mid", LIMIT) == b"far.mid"


def test_a_folder_that_is_itself_a_link_is_searched(tmp_path):
    put(tmp_path / "real", "a.mid", "b/c.mid")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert find_midi_files(open_folder(tmp_path / "link")).names == ["a.mid", "b/c.mid"]


def test_a_link_to_nothing_is_found_and_cannot_be_read(tmp_path):
    (tmp_path / "gone.mid").symlink_to(tmp_path / "nothing")
    (tmp_path / "round.mid").symlink_to(tmp_path / "round.mid")
    folder = local(tmp_path)
    assert sorted(folder.listing().names) == ["gone.mid", "round.mid"]
    with pytest.raises(MidiError, match=r"^cannot be read: No such file or directory$"):
        folder.read("gone.mid", LIMIT)
    with pytest.raises(MidiError, match=r"^cannot be read: Too many levels of symbolic links"):
        folder.read("round.mid", LIMIT)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    """Nobody will ever write to it."""
    os.mkfifo(tmp_path / "pipe.mid")
    (tmp_path / "link.mid").symlink_to("pipe.mid")
    folder = local(tmp_path)
    assert sorted(folder.listing().names) == ["link.mid", "pipe.mid"]
    for name in folder.listing().names:
        with pytest.raises(MidiError, match=r"^cannot be read: it is not a regular file$"):
            folder.read(name, LIMIT)


def test_devices_and_sockets_are_refused(tmp_path, monkeypatch):
    (tmp_path / "endless.mid").symlink_to("/dev/zero")
    with pytest.raises(MidiError, match=r"^cannot be read: it is not a regular file$"):
        local(tmp_path).read("endless.mid", LIMIT)
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("talk.mid")
        with pytest.raises(MidiError, match=r"^cannot be read: No such device or address"):
            local(tmp_path).read("talk.mid", LIMIT)


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    """Root may read everything, so the refusal is played."""

    def refuse(path, flags):
        raise PermissionError(13, "Permission denied", path)

    put(tmp_path, "secret.mid")
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(MidiError, match=r"^cannot be read: Permission denied$"):
        local(tmp_path).read("secret.mid", LIMIT)


@BOTH
def test_a_file_that_vanished_says_so(tmp_path, kind):
    folder = kind(put(tmp_path, "a.mid"))
    (name,) = folder.listing().names
    (tmp_path / "a.mid").unlink()
    with pytest.raises(MidiError, match=r"^cannot be read: .*No such file or directory"):
        folder.read(name, LIMIT)


def test_a_path_through_a_file_or_too_long_cannot_be_read(tmp_path):
    folder = local(put(tmp_path, "a.mid"))
    with pytest.raises(MidiError, match=r"^cannot be read: Not a directory$"):
        folder.read("a.mid/b.mid", LIMIT)
    with pytest.raises(MidiError, match=r"^cannot be read: File name too long$"):
        folder.read(300 * "a" + ".mid", LIMIT)


@pytest.mark.parametrize(
    ("name", "text"), [("a\0.mid", ".*embedded null"), ("\ud800.mid", ".* codec can't encode")]
)
def test_a_name_that_no_file_can_have_cannot_be_read(tmp_path, name, text):
    """It came from elsewhere: a list of paths in another encoding."""
    with pytest.raises(MidiError, match=rf"^cannot be read: its name cannot be one: {text}"):
        local(tmp_path).read(name, LIMIT)


@BOTH
@pytest.mark.parametrize("limit", [50, 51])
def test_a_file_is_read_whole_up_to_the_limit(tmp_path, kind, limit):
    (tmp_path / "a.mid").write_bytes(BYTES)
    assert kind(tmp_path).read("a.mid", limit) == BYTES


@BOTH
def test_a_file_of_no_bytes_is_read(tmp_path, kind):
    (tmp_path / "a.mid").write_bytes(b"")
    assert kind(tmp_path).read("a.mid", 0) == b""


@BOTH
@pytest.mark.parametrize(
    ("size", "limit", "text"),
    [(50, 49, "50 bytes; at most 49 are read"), (2000, 1999, "2,000 bytes; at most 1,999 are")],
)
def test_a_file_of_more_bytes_is_not_read(tmp_path, kind, size, limit, text):
    (tmp_path / "a.mid").write_bytes(bytes(size))
    with pytest.raises(TooLargeError, match=f"^{text}"):
        kind(tmp_path).read("a.mid", limit)


def test_a_file_of_a_terabyte_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "sparse.mid").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(TooLargeError, match=r"^1,099,511,627,776 bytes; at most 100 are read$"):
        local(tmp_path).read("sparse.mid", LIMIT)


def test_no_file_stays_open(tmp_path):
    folder = local(put(tmp_path, "a.mid"))
    os.mkfifo(tmp_path / "pipe.mid")
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - there is no folder of this for pathlib
    for name, limit in [("a.mid", LIMIT), ("a.mid", 1), ("pipe.mid", LIMIT), ("none.mid", LIMIT)]:
        try:
            folder.read(name, limit)
        except MidiError:
            continue
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


def put_latin1(folder: Path) -> str:
    """A name in Latin-1, which is no UTF-8."""
    (folder / "caf\udce9.mid").write_bytes(BYTES)
    return "caf\udce9.mid"


def test_names_that_are_no_utf8_are_found_and_read(tmp_path):
    name = put_latin1(tmp_path)
    put(tmp_path, "d.mid", "b.mid")
    assert find_midi_files(local(tmp_path)).names == ["b.mid", name, "d.mid"]
    assert local(tmp_path).read(name, LIMIT) == BYTES


def test_a_remote_folder_with_names_that_are_no_utf8_is_refused(tmp_path):
    """Object stores have none; a disk mounted on this machine is better given as a path."""
    put_latin1(tmp_path)
    with pytest.raises(UsageError, match=f"{tmp_path.name} cannot be listed: "):
        remote(tmp_path).listing()


def test_names_with_new_lines_and_spaces_at_their_ends_are_read(tmp_path):
    names = ["a\nb.mid", " c.mid", "d\t.mid", "-e.mid", "~.mid", "*.mid", "\\.mid"]
    put(tmp_path, *names)
    assert set(local(tmp_path).listing().names) == set(names)
    assert [local(tmp_path).read(name, LIMIT).decode() for name in names] == names


def test_without_a_root_names_are_paths(tmp_path, monkeypatch):
    put(tmp_path, "b/a.mid")
    monkeypatch.chdir(tmp_path)
    assert LocalFolder("").read("b/a.mid", LIMIT) == b"b/a.mid"
    assert LocalFolder("").read(str(tmp_path / "b" / "a.mid"), LIMIT) == b"b/a.mid"


@pytest.mark.parametrize("root", ["midi", "midi/", "./midi", "midi/../midi//", "{}/midi"])
def test_a_root_may_be_written_in_any_way(tmp_path, monkeypatch, root):
    put(tmp_path / "midi", "a.mid", "b/c.mid")
    monkeypatch.chdir(tmp_path)
    folder = open_folder(root.format(tmp_path))
    assert find_midi_files(folder).names == ["a.mid", "b/c.mid"]
    assert folder.read("b/c.mid", LIMIT) == b"b/c.mid"


def test_a_place_is_local_unless_it_is_a_uri(tmp_path):
    assert open_folder(tmp_path) == LocalFolder(str(tmp_path))
    assert open_folder("s3://bucket/midi/") == RemoteFolder("s3://bucket/midi")
    assert str(open_folder(tmp_path)) == str(tmp_path)
    assert str(open_folder("s3://bucket/midi/")) == "s3://bucket/midi"


def test_a_folder_that_is_none_is_refused(tmp_path):
    put(tmp_path, "a.mid")
    for place in (tmp_path / "none", tmp_path / "a.mid", str(tmp_path / "none")):
        text = f"^{place} is not a folder; give one that holds MIDI files$"
        with pytest.raises(UsageError, match=text):
            open_folder(place)


@BOTH
def test_a_folder_that_vanished_cannot_be_listed(tmp_path, kind):
    with pytest.raises(UsageError, match=r"none cannot be listed: .*No such file or directory"):
        kind(tmp_path / "none").listing()


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A folder with one that cannot be listed. Root may list everything, so it is played."""
    real = os.scandir

    def scandir(path):
        if str(path).endswith("lost+found"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    return local(put(tmp_path, "a.mid", "lost+found/b.mid", "z/c.mid"))


def test_a_folder_below_that_cannot_be_listed_is_named_and_skipped(closed):
    found = find_midi_files(closed)
    assert found.names == ["a.mid", "z/c.mid"]
    assert list(map(str, found.skipped)) == ["lost+found: cannot be listed: Permission denied"]
    assert [skipped.is_link for skipped in found.skipped] == [False]


@pytest.mark.parametrize("pattern", ["lost+found*", "lost+found/*", "lost+found"])
def test_a_folder_that_is_excluded_is_not_named(closed, pattern):
    assert find_midi_files(closed, [pattern]).skipped == []


def test_an_excluded_folder_is_not_entered(tmp_path, monkeypatch):
    put(tmp_path, "a.mid", "b/c.mid", "b/d/e.mid", "bc/f.mid")
    real, entered = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda path: entered.append(str(path)) or real(path))
    assert find_midi_files(local(tmp_path), ["b/*"]).names == ["a.mid", "bc/f.mid"]
    assert [Path(path).name for path in entered] == [tmp_path.name, "bc"]


def test_a_folder_that_goes_while_it_is_searched_is_skipped(tmp_path, monkeypatch):
    put(tmp_path, "a.mid", "going/b.mid")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("going"):
            shutil.rmtree(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_midi_files(local(tmp_path))
    assert found.names == ["a.mid"]
    assert list(map(str, found.skipped)) == ["going: cannot be listed: No such file or directory"]


def test_a_path_beyond_what_the_system_takes_is_named_in_a_short_line(tmp_path, monkeypatch):
    """Folders in folders, each made from within the one above."""
    put(tmp_path, "a.mid")
    monkeypatch.chdir(tmp_path)
    for _ in range(21):
        Path(200 * "d").mkdir()
        os.chdir(200 * "d")
    monkeypatch.chdir(tmp_path)
    try:
        found = find_midi_files(local(tmp_path))
        assert found.names == ["a.mid"]
        (skipped,) = found.skipped
        assert str(skipped).endswith("…" + 39 * "d" + ": cannot be listed: File name too long")
        assert len(str(skipped)) < 120
    finally:  # rmtree itself cannot take such a path
        Path(200 * "d").rename("top")
        while list(Path("top").iterdir()):
            Path("top", 200 * "d").rename("next")
            Path("top").rmdir()
            Path("next").rename("top")


def test_linked_folders_are_named(tmp_path):
    put(tmp_path, "midi/a.mid", "far/b.mid")
    (tmp_path / "midi" / "link").symlink_to(tmp_path / "far", target_is_directory=True)
    found = find_midi_files(local(tmp_path / "midi"))
    assert found.names == ["a.mid"]
    assert list(map(str, found.skipped)) == ["link: a link to a folder, not followed"]
    assert [skipped.is_link for skipped in found.skipped] == [True]


def test_a_folder_whose_files_are_all_out_of_reach_says_why(tmp_path):
    put(tmp_path, "far/b.mid")
    (tmp_path / "midi").mkdir()
    (tmp_path / "midi" / "link").symlink_to(tmp_path / "far", target_is_directory=True)
    text = r"holds no MIDI file \(.*\); link: a link to a folder, not followed$"
    with pytest.raises(UsageError, match=text):
        find_midi_files(local(tmp_path / "midi"))


@BOTH
def test_a_file_packed_with_gzip_is_unpacked(tmp_path, kind):
    (tmp_path / "a.mid.gz").write_bytes(gzip.compress(BYTES))
    assert kind(tmp_path).read("a.mid.gz", LIMIT) == BYTES


@BOTH
@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (gzip.compress(bytes(LIMIT + 1)), TooLargeError, "101 bytes; at most 100 are read"),
        (gzip.compress(BYTES)[:-9], MidiError, "cannot be unpacked: its end is missing"),
        (gzip.compress(BYTES)[:3] + b"nonsense", MidiError, "cannot be unpacked: Error -3"),
    ],
    ids=["too large", "cut", "damaged"],
)
def test_a_packed_file_that_cannot_be_unpacked_says_why(tmp_path, kind, data, error, text):
    (tmp_path / "a.mid.gz").write_bytes(data)
    with pytest.raises(error, match=f"^{text}"):
        kind(tmp_path).read("a.mid.gz", LIMIT)


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("nowhere://bucket", "Unrecognized filesystem type"),
        ("://bucket", "Cannot parse URI"),
        ("file://other-machine/midi", "Unsupported hostname"),
    ],
)
def test_a_place_of_an_unknown_kind_is_refused(uri, text):
    with pytest.raises(UsageError, match=f"^{uri} is no place that can be read: .*{text}"):
        open_folder(uri).listing()


def test_a_remote_folder_may_end_in_a_slash(tmp_path):
    put(tmp_path, "a.mid", "b/c.mid")
    folder = open_folder(f"file://{tmp_path}/")
    assert find_midi_files(folder).names == ["a.mid", "b/c.mid"]
    assert folder.read("b/c.mid", LIMIT) == b"b/c.mid"


@BOTH
def test_folders_are_values_that_travel_to_other_processes(tmp_path, kind):
    import pickle

    folder = kind(put(tmp_path, "a.mid"))
    there = pickle.loads(pickle.dumps(folder))  # noqa: S301 - our own
    assert (there, hash(there)) == (folder, hash(folder))
    assert there.read("a.mid", LIMIT) == b"a.mid"
