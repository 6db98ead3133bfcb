"""A store that is at its place whole or not at all, and work that can be taken up."""

import errno
import json
import re

import pytest

from melodyconstraints.datasets.melodies.store import (
    SCHEMA,
    read_summary,
    write_part,
    write_summary,
)
from melodyconstraints.datasets.melodies.unfinished import unfinished_store
from melodyconstraints.errors import StoreError, UsageError

INPUTS = {"unique": "exact", "settings": {"min_notes": 16}}


def build(output, plan=INPUTS, *, by="me", resume=False, overwrite=False, error=None, seen=None):
    """One task's result, then a store; ``seen`` takes note of the results of earlier runs."""
    with unfinished_store(output, plan, resume=resume, overwrite=overwrite) as unfinished:
        if seen is not None:
            seen += sorted(path.name for path in unfinished.spool.iterdir())
        assert list(unfinished.store.iterdir()) == []
        (unfinished.spool / f"task-{by}").write_text(by)
        write_part(unfinished.store, 0, SCHEMA.empty_table())
        if error:
            raise error
        write_summary(unfinished.store, 1, {"by": by})
    return output


def stop(output, plan=INPUTS, **options):
    """The same, stopped in the midst of it."""
    with pytest.raises(ZeroDivisionError):
        build(output, plan, error=ZeroDivisionError(), **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Whole or not at all


def test_a_store_appears_whole_and_alone_when_the_block_ends(tmp_path):
    output = tmp_path / "deep" / "er" / "store"
    with unfinished_store(output, INPUTS, resume=False, overwrite=False) as unfinished:
        write_part(unfinished.store, 0, SCHEMA.empty_table())
        write_summary(unfinished.store, 1, {"by": "me"})
        assert not output.exists()
        assert unfinished.store.parent == output.with_name("store.unfinished")
    assert read_summary(output)["by"] == "me"
    assert names(output) == ["extraction.json", "part-00000.parquet"]
    assert names(output.parent) == ["store"]
    assert output.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_nothing_but_its_work(tmp_path, error):
    with pytest.raises(error):
        build(tmp_path / "store", error=error())
    assert names(tmp_path) == ["store.unfinished"]
    assert {"lock", "plan", "spool", "store"} >= set(names(tmp_path / "store.unfinished"))
    with pytest.raises(StoreError, match="store is not a finished melody store"):
        read_summary(tmp_path / "store")


def test_a_block_that_fails_leaves_the_store_that_was_there(tmp_path, contents):
    output = build(tmp_path / "store", by="grandfather")
    before = contents(output)
    stop(output, overwrite=True)
    assert contents(output) == before


def test_a_block_that_makes_no_store_is_an_error(tmp_path):
    with (
        pytest.raises(StoreError, match=r"store is not a finished melody store \(extraction"),
        unfinished_store(tmp_path / "store", INPUTS, resume=False, overwrite=False) as unfinished,
    ):
        write_part(unfinished.store, 0, SCHEMA.empty_table())
    assert not (tmp_path / "store").exists()


# What is taken up


def test_work_is_taken_up_and_a_store_is_begun_anew(tmp_path):
    stop(tmp_path / "store", by="one")
    stop(tmp_path / "store", by="two", resume=True)
    seen = []
    output = build(tmp_path / "store", by="three", resume=True, seen=seen)
    assert seen == ["task-one", "task-two"]
    assert (read_summary(output)["by"], names(tmp_path)) == ("three", ["store"])


def test_with_nothing_to_take_up_it_is_as_without(tmp_path):
    seen = []
    output = build(tmp_path / "store", resume=True, seen=seen)
    assert (seen, read_summary(output)["by"]) == ([], "me")


def test_work_is_not_taken_up_unasked(tmp_path):
    stop(tmp_path / "store", by="one")
    text = (
        f"{tmp_path}/store.unfinished holds an unfinished extraction; pass --resume to go on with "
        "it, or --overwrite to begin anew"
    )
    with pytest.raises(UsageError, match=re.escape(text)):
        build(tmp_path / "store")
    seen = []
    build(tmp_path / "store", resume=True, seen=seen)
    assert seen == ["task-one"]


def test_overwrite_begins_anew(tmp_path):
    stop(tmp_path / "store", by="one")
    seen = []
    build(tmp_path / "store", {"unique": "none"}, overwrite=True, seen=seen)
    assert (seen, names(tmp_path)) == ([], ["store"])


@pytest.mark.parametrize(
    ("plan", "other"),
    [
        ({"unique": "none", "settings": {"min_notes": 16}}, "unique"),
        ({"unique": "none", "settings": {"min_notes": 17}}, "settings, unique"),
        (INPUTS | {"exclude": []}, "exclude"),
    ],
)
def test_work_of_another_plan_is_not_taken_up(tmp_path, plan, other):
    stop(tmp_path / "store")
    text = f"store.unfinished was begun with other {other}; go on with the same, or pass --over"
    with pytest.raises(UsageError, match=text):
        build(tmp_path / "store", plan, resume=True)
    assert names(tmp_path / "store.unfinished" / "spool") == ["task-me"]


def test_a_plan_is_the_same_after_json(tmp_path):
    plan = {"pair": (1, 2.0), "names": ["caf\udce9"]}
    stop(tmp_path / "store", plan)
    assert json.loads((tmp_path / "store.unfinished" / "plan").read_text()) == {
        "pair": [1, 2.0],
        "names": ["caf\udce9"],
    }
    build(tmp_path / "store", plan, resume=True)


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}], ids=str)
def test_results_without_a_plan_are_nobodys(tmp_path, options):
    """As ``--overwrite`` leaves them that was killed while it cleared an earlier run away."""
    stop(tmp_path / "store", by="grandfather")
    (tmp_path / "store.unfinished" / "plan").unlink()
    seen = []
    build(tmp_path / "store", {"unique": "none"}, seen=seen, **options)
    assert seen == []


def test_resume_and_overwrite_take_up_work_that_is_to_replace_a_store(tmp_path):
    build(tmp_path / "store", {"unique": "none"}, by="grandfather")
    stop(tmp_path / "store", by="one", overwrite=True)
    assert read_summary(tmp_path / "store")["by"] == "grandfather"
    seen = []
    build(tmp_path / "store", resume=True, overwrite=True, seen=seen)
    assert (seen, read_summary(tmp_path / "store")["by"]) == (["task-one"], "me")


# What is in the way


def test_a_store_is_refused_and_left_alone(tmp_path, contents):
    output = build(tmp_path / "store")
    before = contents(output)
    for resume in (False, True):
        with pytest.raises(
            UsageError, match="store already holds a melody store; pass --overwrite to replace it"
        ):
            build(output, by="you", resume=resume)
    assert (contents(output), names(tmp_path)) == (before, ["store"])


def test_a_store_is_replaced_whole_on_request(tmp_path):
    output = build(tmp_path / "store")
    (output / "part-00001.parquet").write_text("of the old one")
    build(output, by="you", overwrite=True)
    assert (read_summary(output)["by"], names(tmp_path)) == ("you", ["store"])
    assert names(output) == ["extraction.json", "part-00000.parquet"]


def test_an_empty_folder_may_become_a_store(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store.unfinished").mkdir()
    assert read_summary(build(tmp_path / "store"))["by"] == "me"


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}], ids=str)
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_not_a_store_is_never_replaced(tmp_path, options, kind):
    mine = tmp_path / "mine"
    if kind == "folder":
        mine.mkdir()
        (mine / "thesis.tex").write_text("years of work")
    else:
        mine.write_text("years of work")
    with pytest.raises(
        UsageError, match="mine exists and is not a melody store; choose another folder"
    ):
        build(mine, **options)
    kept = mine / "thesis.tex" if kind == "folder" else mine
    assert kept.read_text() == "years of work"
    assert names(tmp_path) == ["mine"]


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}], ids=str)
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_unfinished_of_somebody_else_is_never_touched(tmp_path, options, kind):
    mine = tmp_path / "store.unfinished"
    if kind == "folder":
        mine.mkdir()
        (mine / "thesis.tex").write_text("years of work")
    else:
        mine.write_text("years of work")
    with pytest.raises(
        UsageError, match=r"store\.unfinished is in the way and holds other files; move it away"
    ):
        build(tmp_path / "store", **options)
    kept = mine / "thesis.tex" if kind == "folder" else mine
    assert kept.read_text() == "years of work"
    assert names(tmp_path) == ["store.unfinished"]


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}], ids=str)
def test_of_two_at_once_the_second_is_refused(tmp_path, options):
    output = tmp_path / "store"
    with unfinished_store(output, INPUTS, resume=False, overwrite=False) as unfinished:
        (unfinished.spool / "task-one").touch()
        with pytest.raises(StoreError, match=r"another process is at work in .*store\.unfinished"):
            build(output, **options)
        write_part(unfinished.store, 0, SCHEMA.empty_table())
        write_summary(unfinished.store, 1, {"by": "one"})
        assert names(unfinished.spool) == ["task-one"]
    assert read_summary(output)["by"] == "one"


# Disks


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/disk/part-0"),
            "/disk/part-0: No space left on device",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "{}/store: No space left on device"),
        (OSError("of no number"), "{}/store: of no number"),
    ],
)
def test_an_error_of_the_disk_says_where_and_how_to_go_on(tmp_path, error, text):
    text = text.format(tmp_path) + (
        f"; what was done is in {tmp_path}/store.unfinished, go on with --resume"
    )
    with pytest.raises(StoreError, match=f"^{re.escape(text)}$"):
        build(tmp_path / "store", error=error)
    seen = []
    build(tmp_path / "store", resume=True, seen=seen)
    assert seen == ["task-me"]


def test_a_place_that_cannot_be_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    text = f"{tmp_path}/file/store.unfinished: Not a directory"
    with pytest.raises(StoreError, match=f"^{re.escape(text)}$"):
        build(tmp_path / "file" / "store")
    assert names(tmp_path) == ["file"]
