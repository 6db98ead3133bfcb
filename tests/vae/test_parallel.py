"""Rows on several threads: the same rows, whole, with the caller's threads left alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch

from melodyconstraints.vae import parallel
from melodyconstraints.vae.parallel import compute_rows


@pytest.fixture(autouse=True)
def three_processors(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 3)
    parallel._workers.cache_clear()
    yield
    parallel._workers().shutdown()
    parallel._workers.cache_clear()


def test_rows_stand_in_their_order_and_parts_are_multiples():
    parts = []

    def compute(rows, others):
        parts.append(len(rows))
        return rows + others

    found = compute_rows(compute, torch.arange(101), torch.arange(101), multiple=4, most=16)
    assert found.tolist() == list(range(0, 202, 2))
    assert sorted(parts) == [5, 16, 16, 16, 16, 16, 16]


def test_each_part_has_one_thread_and_no_gradients():
    threads = torch.get_num_threads()
    row = torch.ones(1, requires_grad=True)
    seen = compute_rows(
        lambda rows: torch.tensor([torch.get_num_threads(), (rows * 1).requires_grad]),
        row,
        multiple=1,
        most=1,
    )
    assert seen.tolist() == [1, 0]
    assert torch.get_num_threads() == threads
    with ThreadPoolExecutor() as others:
        assert others.submit(torch.get_num_threads).result() == threads


def test_an_error_of_a_part_is_the_callers():
    def refuse(rows):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        compute_rows(refuse, torch.ones(3), multiple=1, most=1)


def test_after_an_error_parts_that_wait_are_not_computed():
    computed, goes_on = [], Event()

    def refuse_the_first(rows):
        if not rows[0]:
            raise ValueError("no")
        computed.append(goes_on.wait(10))
        return rows

    with pytest.raises(ValueError, match="no"):
        compute_rows(refuse_the_first, torch.arange(40), multiple=1, most=1)
    goes_on.set()
    parallel._workers().shutdown()
    assert len(computed) <= 3


def test_where_no_thread_can_be_had_the_process_still_ends(monkeypatch):
    pools, submit = [], ThreadPoolExecutor.submit

    def submit_once(pool, *task):
        pools.append(pool)
        if len(pools) > 1:
            raise RuntimeError("can't start new thread")
        return submit(pool, *task)

    with monkeypatch.context() as patched:
        patched.setattr(ThreadPoolExecutor, "submit", submit_once)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            compute_rows(torch.neg, torch.ones(3), multiple=1, most=1)
    pools[0].shutdown()  # waits for its threads
