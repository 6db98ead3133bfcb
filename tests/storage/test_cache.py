"""The user's cache: listed and emptied, and nothing else in its place is touched."""

import pytest

from melodyconstraints.storage.artifacts import save_artifact
from melodyconstraints.storage.cache import (
    BANKS,
    CACHE,
    cache_entries,
    cache_place,
    cache_root,
    clear_cache,
)


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


def test_places_differ_by_group_and_key(cache):
    places = {cache_place(group, key) for group in ("others", BANKS) for key in ("one", "two")}
    assert len(places) == 4
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
