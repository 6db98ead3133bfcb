"""The same work on a Ray cluster of this one machine: the same bytes."""

import os
import signal
import sys

import numpy as np
import pytest

from melodyconstraints.datasets.melodies.extract_store import extract_store
from melodyconstraints.datasets.melodies.hashing import HashSet
from melodyconstraints.datasets.melodies.ray_engine import RayEngine
from melodyconstraints.datasets.melodies.workers import Limits
from melodyconstraints.errors import UsageError, WorkerError

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray opens files that it does not close

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def engine():
    """A cluster of one machine."""
    yield RayEngine(jobs=0)
    ray.shutdown()


@pytest.mark.usefixtures("small_stages", "small_objects")
def test_the_store_is_that_of_one_machine(engine, music, tmp_path, contents, plain):
    summary = extract_store(f"file://{music}", tmp_path / "store", engine=engine)
    assert (summary.files, summary.accepted + summary.rejected) == (12, 12)
    assert contents(tmp_path / "store") == plain


def test_ray_data_finds_what_was_seen_before(engine):
    generator = np.random.default_rng(0)
    keys = [generator.integers(1, 7, (40, 2)).astype(np.uint64) for _ in range(5)]
    seen = HashSet()
    expected = [seen.add(batch).tolist() for batch in keys]
    assert [fresh.tolist() for fresh in engine.first_seen(keys)] == expected


def die(task, faults, begin):
    """A handle that no second try helps."""
    os.kill(os.getppid(), signal.SIGKILL)  # the process of Ray, not its expendable child


def test_a_lost_process_of_the_cluster_is_one_clear_error(engine):
    with pytest.raises(WorkerError, match="was lost, go on with --resume"):
        list(engine.run(die, [["a.mid"]], Limits(), dict))


def test_without_ray_the_engine_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"ray is not .*: pip install 'melodyconstraints\[ray\]'"):
        RayEngine()
