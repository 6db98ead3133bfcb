"""The user's cache: listed and emptied, and nothing else in its place is touched."""

import errno
import os

import pytest

from melodyconstraints.storage import places
from melodyconstraints.storage.artifacts import save_artifact
from melodyconstraints.storage.cache import (
    BANKS,
    CACHE,
    cache_entries,
    cache_place,
    cache_root,
    clear_cache,
)
from melodyconstraints.storage.consents import consent, is_consented
from melodyconstraints.storage.places import DATA, data_root


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_cache_that_is_not_there_is_empty(cache):
    assert cache_entries() == clear_cache() == []
    assert not cache.exists()


def test_without_a_choice_the_cache_is_the_systems(monkeypatch):
    monkeypatch.delenv(CACHE)
    assert cache_root().name == "melodyconstraints"


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """Makes the user one whom the system does not know, and ``tmp_path`` the temporary folder."""

    def unknown(_):
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", CACHE, DATA):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr(places, "gettempdir", lambda: str(tmp_path))


@pytest.mark.usefixtures("no_home")
def test_without_a_home_the_cache_is_a_temporary_folder_and_no_consent_is_kept(tmp_path):
    assert cache_root() == tmp_path / f"melodyconstraints-{os.getuid()}"
    assert cache_root().stat().st_mode & 0o777 == 0o700
    (tmp_path / "rule.py").touch()
    consent(tmp_path / "rule.py")
    assert not is_consented(tmp_path / "rule.py")
    cache_root().chmod(0o777)  # anybody could put code there
    assert (cache_root(), cache_entries()) == (data_root(), [])
    with pytest.raises(OSError, match="Not a directory"):
        cache_root().mkdir(parents=True)


@pytest.mark.usefixtures("no_home")
def test_a_home_that_is_closed_is_none(monkeypatch, tmp_path):
    def closed(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setenv("HOME", "/root")
    monkeypatch.setattr("pathlib.Path.exists", closed)
    assert cache_root().parent == tmp_path


def test_places_differ_by_group_and_key(cache):
    found = {cache_place(group, key) for group in ("others", BANKS) for key in ("one", "two")}
    assert len(found) == 4
    assert cache_place("others", "one") == cache_place("others", "one")
    assert cache_place("others", "one").parent == cache / "others"


def test_artifacts_are_listed_and_removed_and_other_files_stay(cache):
    for group, key in (("others", "a"), (BANKS, "b")):
        save_artifact(cache_place(group, key), "toy", {"key": key}, {}, "card")
    for foreign in (cache / "others" / "mine", cache / "elsewhere"):
        foreign.mkdir()
        (foreign / "config.json").write_text("{}")
    entries = cache_entries()
    assert sorted(entry.config["key"] for entry in entries) == ["a", "b"]
    for entry in entries:
        assert entry.size == sum(path.stat().st_size for path in entry.folder.iterdir())
    assert clear_cache() == entries
    assert sorted(path.name for path in cache.rglob("*") if path.is_dir()) == [
        *("banks", "elsewhere", "mine", "others")
    ]
