"""Workers that die, hang or eat memory, planted: each costs its item, and nothing else."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
import types
from collections import Counter
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import count
from multiprocessing import resource_tracker

import psutil
import pytest

from melodyconstraints.datasets.melodies import workers as workers_module
from melodyconstraints.datasets.melodies.worker import _ITEMS_PER_TASK, Worker
from melodyconstraints.datasets.melodies.workers import Fault, Limits, run_tasks, supervise
from melodyconstraints.errors import UsageError, WorkerError

OK = ("ok",)
HANGING = 60  # seconds; nothing here waits for so long

DEEDS = f"""
import ctypes, errno, os, signal, sys, time
from pathlib import Path

HOARD = []

def kill_times(flag, times):
    with open(flag, "a+") as file:
        file.write("x")
        killed = file.tell()
    if killed <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"

def hang_once(flag):
    if not Path(flag).exists():
        Path(flag).touch()
        time.sleep(60)
    return "alive"

def compute(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return "done"

def eat(megabytes, seconds):
    for _ in range(megabytes):
        HOARD.append(b"x" * 2**20)
    time.sleep(seconds)
    return "full"

def shout():
    print("help", flush=True)
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'")
    ctypes.CDLL(None).abort()

def strike(error):
    raise error

def manners():
    import resource
    ctrl_c = signal.getsignal(signal.SIGINT)
    return resource.getrlimit(resource.RLIMIT_CORE), ctrl_c == signal.SIG_IGN

def expect(path):
    while not Path(path).exists():
        time.sleep(0.02)
    return "there"

def tell(path):
    Path(path + ".new").write_text(str(os.getpid()))
    os.rename(path + ".new", path)
    return "told"

DEEDS = dict(
    ok=lambda: "fine",
    echo=lambda thing: thing,
    nap=time.sleep,
    pid=os.getpid,
    tell=tell,
    manners=manners,
    expect=expect,
    kill_times=kill_times,
    hang_once=hang_once,
    compute=compute,
    segfault=lambda: ctypes.string_at(0),
    abort=shout,
    exit=sys.exit,
    kill=lambda: os.kill(os.getpid(), signal.SIGKILL),
    hang=lambda: time.sleep({HANGING}),
    hang_with_gil=lambda: ctypes.PyDLL(None).sleep({HANGING}),
    eat=eat,
    strike=strike,
    closure=lambda: lambda: 0,
    vast=lambda: Vast(),
    odd=lambda: strike(Odd("left", "right")),
)

def act(task, faults, begin):
    '''Each item is a deed and its arguments; the result tells what became of each.'''
    became = []
    for number, (deed, *arguments) in enumerate(task):
        if number in faults:
            became.append(faults[number])
        else:
            begin(number)
            became.append(DEEDS[deed](*arguments))
    begin(None)
    return became

def act_and_die_while_packing(task, faults, begin):
    became = act(task, faults, begin)
    kill_times(became[-1], 3)
    return became

def act_reckless(task, faults, begin):
    return act(task, dict(), begin)

def leave_before_begin(task, faults, begin):
    os._exit(5)

def die_twice_before_begin(task, faults, begin):
    for flag in task:
        if not os.path.exists(flag):
            Path(flag).touch()
            os._exit(6)
    return "done"

def raise_memory_error_before_begin(task, faults, begin):
    raise MemoryError("no room for a result")

class Vast:
    def __reduce__(self):
        raise MemoryError("no room for a pickle")

class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(f"{{one}} and {{two}}")
"""

SCRIPT = """
from deeds import act
from melodyconstraints.datasets.melodies.workers import supervise
"""


@pytest.fixture(scope="module")
def deeds_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deeds")
    (folder / "deeds.py").write_text(DEEDS)
    return folder


@pytest.fixture
def deeds(deeds_folder, monkeypatch):
    """The module of planted faults, where spawned processes find it."""
    monkeypatch.syspath_prepend(str(deeds_folder))
    return import_module("deeds")


def workers():
    """The processes of this one but multiprocessing's own, which stays."""
    tracker = resource_tracker._resource_tracker._pid
    return [child for child in psutil.Process().children() if child.pid != tracker]


@pytest.fixture(autouse=True)
def _nobody_stays():
    assert workers() == []
    yield
    assert workers() == []


def kill_workers():
    victims = workers()
    for worker in victims:
        with suppress(psutil.NoSuchProcess):
            worker.kill()
    return victims


def wait_until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# Results


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_the_order_of_the_tasks(deeds, jobs):
    seconds = random.Random(jobs)  # noqa: S311
    tasks = [[("nap", seconds.random() / 50), ("echo", number)] for number in range(40)]
    results = list(supervise(deeds.act, tasks, jobs=jobs))
    assert results == [[None, number] for number in range(40)]


def test_no_tasks_give_no_results_and_start_no_process(deeds):
    assert list(supervise(deeds.act, [], jobs=2)) == []


def test_no_more_processes_start_than_there_are_tasks(deeds):
    results = supervise(deeds.act, [[("pid",)]] * 2, jobs=5)
    next(results)
    assert len(workers()) == 2
    results.close()


@pytest.mark.parametrize("jobs", [1, 3])
def test_tasks_are_drawn_at_most_four_a_job_ahead(deeds, jobs):
    drawn = 0

    def tasks():
        nonlocal drawn
        for drawn in count(1):
            yield [("echo", drawn)]

    results = supervise(deeds.act, tasks(), jobs=jobs)
    for number in range(1, 20):
        assert next(results) == [number]
        assert number <= drawn < number + 4 * jobs
    results.close()


def test_an_error_of_the_tasks_is_raised(deeds):
    def tasks():
        yield [OK]
        raise ZeroDivisionError("no more tasks")

    with pytest.raises(ZeroDivisionError, match="no more tasks"):
        list(supervise(deeds.act, tasks(), jobs=1))


def test_jobs_below_one_are_refused(deeds):
    with pytest.raises(UsageError, match="`jobs` must be at least 1, got 0"):
        next(supervise(deeds.act, [[OK]], jobs=0))


# Faults


def test_each_fault_costs_its_item_only(deeds, capfd):
    planted = {
        ("segfault",): Fault.CRASHED,
        ("abort",): Fault.CRASHED,
        ("exit", 1): Fault.CRASHED,
        ("kill",): Fault.CRASHED,
        ("strike", MemoryError()): Fault.MEMORY,
        ("hang",): Fault.TIME,
        ("hang_with_gil",): Fault.TIME,
    }
    tasks = [task for deed in planted for task in ([OK, deed, OK], [OK])]
    results = list(supervise(deeds.act, tasks, jobs=2, limits=Limits(seconds=0.5)))
    assert dict(zip(planted, results[::2], strict=True)) == {
        deed: ["fine", fault, "fine"] for deed, fault in planted.items()
    }
    assert results[1::2] == [["fine"]] * len(planted)
    assert capfd.readouterr() == ("", "")


def test_an_item_that_eats_memory_is_given_up(deeds):
    tasks = [[OK, ("eat", 200, HANGING), OK], [OK]]
    results = supervise(deeds.act, tasks, jobs=1, limits=Limits(memory_bytes=100 * 2**20))
    assert list(results) == [["fine", Fault.MEMORY, "fine"], ["fine"]]


def test_one_task_may_hold_many_faults(deeds):
    task = [("exit", 1), OK, ("hang",), ("strike", MemoryError()), OK, ("abort",)]
    (result,) = supervise(deeds.act, [task], jobs=1, limits=Limits(seconds=0.5))
    assert result == [Fault.CRASHED, "fine", Fault.TIME, Fault.MEMORY, "fine", Fault.CRASHED]


def test_an_item_killed_from_outside_is_not_lost(deeds, tmp_path):
    task = [OK, ("kill_times", str(tmp_path / "flag"), 4), OK]
    assert list(supervise(deeds.act, [task], jobs=1)) == [["fine", "alive", "fine"]]


def test_no_item_is_blamed_for_a_kill_while_its_result_is_packed(deeds, tmp_path):
    flag = str(tmp_path / "flag")
    assert list(supervise(deeds.act_and_die_while_packing, [[("echo", flag)]], jobs=1)) == [[flag]]


def test_an_item_that_took_too_long_gets_a_second_chance(deeds, tmp_path):
    tasks = [[("hang_once", str(tmp_path / "flag")), OK]]
    results = supervise(deeds.act, tasks, jobs=1, limits=Limits(seconds=0.5))
    assert list(results) == [["alive", "fine"]]


def test_processor_time_counts_and_preparing_does_not(deeds):
    limits, prepare = Limits(seconds=0.3), partial(time.sleep, 0.5)
    results = supervise(deeds.act, [[("compute", 9), OK]], jobs=1, limits=limits, prepare=prepare)
    assert list(results) == [[Fault.TIME, "fine"]]


def test_workers_killed_at_any_moment_lose_nothing(deeds):
    tasks = [[("nap", 0.01), ("echo", number)] for number in range(40)]
    results = []
    for result in supervise(deeds.act, tasks, jobs=2):
        results.append(result)
        if result[1] in (0, 12, 25):  # so far apart that none kills a task twice
            kill_workers()
    assert results == [[None, number] for number in range(40)]


def test_a_worker_killed_while_idle_is_replaced(deeds):
    def tasks():
        yield from [[OK]] * 4
        time.sleep(0.3)  # the worker has long done the four
        psutil.wait_procs(kill_workers(), timeout=HANGING)  # and takes its exit code
        yield [OK]

    assert list(supervise(deeds.act, tasks(), jobs=1)) == [["fine"]] * 5


def test_memory_that_others_left_behind_costs_no_item(deeds):
    limits = Limits(memory_bytes=100 * 2**20)
    results = list(supervise(deeds.act, [[("eat", 45, 0.15)]] * 7, jobs=1, limits=limits))
    assert results == [["full"]] * 7


def test_the_watch_goes_on_while_the_consumer_is_away(deeds, tmp_path):
    told = tmp_path / "pid"
    tasks = [[OK], [("tell", str(told)), ("hang",)], [OK]]
    results = supervise(deeds.act, tasks, jobs=1, limits=Limits(seconds=0.5))
    assert next(results) == ["fine"]
    wait_until(told.exists)
    wait_until(lambda: is_gone(int(told.read_text())))
    assert list(results) == [["told", Fault.TIME], ["fine"]]


def test_large_tasks_behind_a_hanging_one_do_not_block_the_watch(deeds):
    load = ("echo", bytes(10**6))
    tasks = [[load, ("hang",)], [load], [load]]
    results = supervise(deeds.act, tasks, jobs=1, limits=Limits(seconds=0.5))
    assert list(results) == [[load[1], Fault.TIME], [load[1]], [load[1]]]


def test_workers_leave_no_core_and_do_not_hear_ctrl_c(deeds):
    assert list(supervise(deeds.act, [[("manners",)]], jobs=1)) == [[((0, 0), True)]]


def test_what_a_worker_holds_before_its_first_item_does_not_count(deeds):
    limits = Limits(memory_bytes=15 * 2**20)  # Python alone holds more
    assert list(supervise(deeds.act, [[("eat", 1, 0.2)]], jobs=1, limits=limits)) == [["full"]]


def test_the_time_counts_for_each_item_of_each_task_anew(deeds, tmp_path, monkeypatch):
    """Two looks at each of eight items count 0.4 s; then it goes on, and later ones count none."""
    looks, faults, enforce = Counter(), set(), Worker.enforce_limits

    def look(worker, seconds, limits):
        position = worker._position.value
        looks[position] += 1
        enforce(worker, 0.4 if looks[position] <= 2 else 0.0, limits)
        faults.add(worker.fault)
        if looks[position] == 2:
            (tmp_path / str(position)).touch()

    monkeypatch.setattr(Worker, "enforce_limits", look)
    monkeypatch.setattr(Worker, "_spent", lambda worker, seconds: seconds)
    tasks = [
        [("expect", str(tmp_path / str(number * _ITEMS_PER_TASK + item))) for item in range(2)]
        for number in range(4)
    ]
    results = supervise(deeds.act, tasks, jobs=1, limits=Limits(seconds=1.0))
    assert list(results) == [["there", "there"]] * 4
    assert faults == {None}  # nor is there a second attempt


def test_time_that_the_watcher_was_stopped_does_not_count(deeds, tmp_path, monkeypatch):
    told, flag, away = tmp_path / "pid", tmp_path / "flag", 0.0
    monkeypatch.setattr(workers_module, "monotonic", lambda: time.monotonic() + away)
    task = [("tell", str(told)), ("expect", str(flag))]
    results = supervise(deeds.act, [[OK], task], jobs=1)
    next(results)
    wait_until(told.exists)
    time.sleep(0.3)
    away = 3600.0
    time.sleep(0.3)  # some looks of the watcher
    flag.touch()
    assert list(results) == [["told", "there"]]


# Errors


def test_an_error_travels_in_its_turn_with_number_file_and_traceback(deeds):
    full = OSError(errno.ENOSPC, "No space left on device", "store/part-0")
    results = supervise(deeds.act, [[OK], [("strike", full)], [OK]], jobs=2)
    assert next(results) == ["fine"]
    with pytest.raises(OSError, match="No space left") as caught:
        next(results)
    assert workers() == []
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "store/part-0")
    assert "deeds.py" in caught.value.__notes__[0]
    assert "in strike" in caught.value.__notes__[0]


def test_a_result_that_cannot_be_pickled_is_an_error(deeds):
    with pytest.raises(AttributeError, match=r"local object .*<lambda>"):
        list(supervise(deeds.act, [[("closure",)]], jobs=1))


def test_a_task_that_cannot_be_pickled_is_an_error(deeds):
    with pytest.raises(TypeError, match="cannot pickle"):
        list(supervise(deeds.act, [[("echo", sys)]], jobs=1))


def test_an_error_that_cannot_be_pickled_travels_as_a_worker_error(deeds):
    with pytest.raises(WorkerError, match="Odd: left and right") as caught:
        list(supervise(deeds.act, [[("odd",)]], jobs=1))
    assert "deeds.py" in caught.value.__notes__[0]


def test_a_memory_error_at_no_item_is_an_error(deeds):
    with pytest.raises(MemoryError, match="no room for a result"):
        list(supervise(deeds.raise_memory_error_before_begin, [[OK]], jobs=1))
    with pytest.raises(MemoryError, match="no room for a pickle"):
        list(supervise(deeds.act, [[("vast",)]], jobs=1))


def test_three_deaths_at_no_item_are_our_own_fault(deeds):
    with pytest.raises(WorkerError, match=r"3 workers died .* at no item.* exit code 5;"):
        list(supervise(deeds.leave_before_begin, [[OK]], jobs=1))


def test_two_deaths_at_no_item_lose_nothing(deeds, tmp_path):
    flags = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert list(supervise(deeds.die_twice_before_begin, [flags], jobs=1)) == ["done"]


def test_a_handle_that_touches_items_given_up_is_found_out(deeds):
    with pytest.raises(WorkerError, match=r"an item that had been given up, .* exit code 7;"):
        list(supervise(deeds.act_reckless, [[("exit", 7)]], jobs=1))


def test_a_handle_that_workers_cannot_import_is_an_error(monkeypatch, capfd):
    module = types.ModuleType("only_here")
    exec("def act(task, faults, begin): ...", vars(module))  # noqa: S102
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(WorkerError, match=r"could not start \(exit code 1"):
        list(supervise(module.act, [[OK]], jobs=1))
    assert capfd.readouterr().err.count("No module named 'only_here'") == 1


# Ends


def test_closing_early_ends_workers_in_the_midst_of_things(deeds):
    results = supervise(deeds.act, [[OK], [("hang",)], [("hang_with_gil",)]], jobs=3)
    next(results)
    assert len(workers()) == 3
    results.close()
    assert workers() == []


def test_an_error_of_the_consumer_ends_the_workers(deeds):
    def consume():
        for _ in supervise(deeds.act, [[OK], [("hang",)]], jobs=2):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()
    assert workers() == []


@pytest.fixture
def script(deeds_folder, tmp_path):
    """A function that starts a script beside ``deeds``, in a session of its own."""
    started = []

    def start(body):
        path = tmp_path / "script.py"
        path.write_text(f"{SCRIPT}\n{body}")
        folders = [str(deeds_folder), *sys.path]
        process = subprocess.Popen(
            [sys.executable, str(path)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "deed",
    [
        "hang",
        pytest.param(
            "hang_with_gil",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG"),
        ),
    ],
)
def test_no_worker_outlives_a_killed_parent(script, tmp_path, deed):
    told = tmp_path / "pid"
    process = script(
        f"""
if __name__ == "__main__":
    list(supervise(act, [[("tell", {str(told)!r}), ({deed!r},)]], jobs=1))
"""
    )
    wait_until(told.exists)
    process.kill()
    wait_until(lambda: is_gone(int(told.read_text())))


def test_ctrl_c_ends_all_with_one_traceback(script, tmp_path):
    told = tmp_path / "pid"
    process = script(
        f"""
if __name__ == "__main__":
    list(supervise(act, [[("tell", {str(told)!r}), ("hang",)]], jobs=1))
"""
    )
    wait_until(told.exists)
    os.killpg(process.pid, signal.SIGINT)
    _, talk = process.communicate(timeout=HANGING / 2)
    assert talk.splitlines()[-1] == "KeyboardInterrupt"
    assert talk.count("Traceback") == 1
    assert is_gone(int(told.read_text()))


def test_a_generator_that_nobody_closes_lets_the_program_end(script):
    process = script(
        """
if __name__ == "__main__":
    results = supervise(act, [[("ok",)]] * 5 + [[("hang",)]] * 9, jobs=1)
    print(next(results))
"""
    )
    assert process.communicate(timeout=HANGING / 2) == ("['fine']\n", "")
    assert process.returncode == 0


def test_a_script_without_a_guard_is_told_so(script):
    process = script("list(supervise(act, [[('ok',)]], jobs=1))")
    _, talk = process.communicate(timeout=HANGING / 2)
    assert process.returncode == 1
    assert 'does so under `if __name__ == "__main__":`' in talk.splitlines()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux only")
@pytest.mark.parametrize("hindrance", ["nothing", "torch", "a thread"])
def test_workers_are_copies_only_where_nothing_else_runs(deeds, monkeypatch, hindrance):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(
        workers_module, "active_count", lambda: 2 if hindrance == "a thread" else 1
    )
    if hindrance == "torch":
        monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    forked = []
    monkeypatch.setattr(
        workers_module._Supervisor, "fork_workers", lambda _, count: forked.append(count)
    )
    assert list(run_tasks(deeds.act, [[OK, OK], [OK]], 4, Limits())) == [
        ["fine", "fine"],
        ["fine"],
    ]
    assert forked == ([2] if hindrance == "nothing" else [])
