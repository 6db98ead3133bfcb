"""The melodies of a user's files and folders."""

import os
from pathlib import Path

import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.workflows.read_melodies import folder_melodies, midi_files

TUNE = Melody.from_notes([(0, 4, 60), (8, 2, 64)])


@pytest.fixture
def songs(tmp_path, monkeypatch):
    """A folder with a tune, a pipe, a device, and a link to a folder."""
    monkeypatch.chdir(tmp_path)
    folder = Path("songs")
    folder.mkdir()
    write_melody(TUNE, folder / "a.mid")
    os.mkfifo(folder / "pipe.mid")
    (folder / "zero.mid").symlink_to("/dev/zero")
    (tmp_path / "far").mkdir()
    (folder / "link").symlink_to(tmp_path / "far", target_is_directory=True)
    return folder


def test_files_come_as_they_are_and_folders_as_their_files(songs):
    skipped = []
    files = midi_files([songs / "pipe.mid", songs], skipped.append)
    assert [file.name for file in files] == ["pipe.mid", "a.mid", "pipe.mid", "zero.mid"]
    assert list(map(str, skipped)) == [f"{songs}/link: a link to a folder, not followed"]


def test_what_holds_no_melody_is_told_and_nothing_is_waited_for(songs):
    lines = []
    assert folder_melodies(songs, lines.append)[0] == TUNE
    assert lines == [
        f"passed over: {songs}/link: a link to a folder, not followed",
        f"passed over: {songs}/pipe.mid: cannot be read: it is not a regular file",
        f"passed over: {songs}/zero.mid: cannot be read: it is not a regular file",
    ]
    assert len(folder_melodies(songs)) == 1


def test_a_folder_without_melodies_is_refused(songs):
    (songs / "a.mid").unlink()
    with pytest.raises(UsageError, match="songs holds no MIDI file with a melody"):
        folder_melodies(songs)
