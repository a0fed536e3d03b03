"""Several processes change the same objects at once: nothing is lost, nothing is torn, nobody waits for ever."""

import concurrent.futures
import itertools
import time

import pytest

import mpshm

pytestmark = pytest.mark.timeout(120)

METHODS = ["fork", "spawn", "forkserver"]
WORKERS = 3
# A worker that has not ended by then hangs.
LIMIT_S = 60


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def manager():
    with mpshm.Manager() as made:
        yield made
        assert made.segment.check() is None


def run(method, target, *argument_lists, meanwhile=None):
    """Run `target` in a process for each list of arguments, all at once; `meanwhile` runs here beside them."""
    context = mpshm.get_context(method)
    processes = [context.Process(target=target, args=arguments) for arguments in argument_lists]
    for process in processes:
        process.start()
    try:
        if meanwhile is not None:
            meanwhile(lambda: any(process.is_alive() for process in processes))
        end = time.monotonic() + LIMIT_S
        for process in processes:
            process.join(max(0, end - time.monotonic()))
            assert process.exitcode is not None, "a worker hangs"
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def run_workers(method, target, *arguments):
    run(method, target, *[(number, *arguments) for number in range(WORKERS)])


# Counting


def incr_keys(number, d, keys, rounds):
    for _ in range(rounds):
        for key in keys:
            d.incr(key, number + 1)


def test_incr(manager, method):
    """All processes count up the same keys, which none of them made first: the sums are exact."""
    d = manager.dict()
    keys = ["a", 1, (2, "x"), "a key that does not fit into an entry", b"bytes", 2.5]
    run_workers(method, incr_keys, d, keys, 2000)
    assert dict(d) == dict.fromkeys(keys, 2000 * sum(range(1, WORKERS + 1)))


def incr_beyond_64_bits(number, d, rounds):
    for _ in range(rounds):
        d.incr("big", 2**61)
        d.incr("float", 0.5)


def test_incr_of_large_numbers(manager):
    """The sums stay exact when they leave 64 bits."""
    d = manager.dict()
    run_workers("fork", incr_beyond_64_bits, d, 1000)
    assert d == {"big": WORKERS * 1000 * 2**61, "float": WORKERS * 500.0}


def compute_and_exchange(number, d, rounds):
    for _ in range(rounds):
        d.compute("list", lambda old: [old[0] + 1, "x" * (old[0] % 50)])
        while True:
            old = d["number"]
            if d.compare_exchange("number", old, old + 1):
                break


def test_compute_and_compare_exchange(manager, method):
    """Every step of every process counts."""
    d = manager.dict(list=[0, ""], number=0)
    run_workers(method, compute_and_exchange, d, 500)
    assert d["number"] == d["list"][0] == WORKERS * 500


def count_under_locks(number, d, x, value, ns, lock, rlock, rounds):
    for _ in range(rounds):
        with d.lock:
            d["a"] = d["a"] + 1
        with x.lock:
            x[0] = x[0] + 1
        with value.lock:
            value.value += 1
        value.add(1)
        with ns.lock:
            ns.n = ns.n + 1
        with lock:
            d["under lock"] = d["under lock"] + 1
        with rlock, rlock:
            d["under rlock"] = d["under rlock"] + 1


def test_locks(manager, method):
    """Steps done under a lock are one step, whichever lock it is."""
    d, x = manager.dict({"a": 0, "under lock": 0, "under rlock": 0}), manager.list([0])
    value, ns = manager.Value("i", 0), manager.Namespace(n=0)
    run_workers(method, count_under_locks, d, x, value, ns, manager.Lock(), manager.RLock(), 500)
    total = WORKERS * 500
    assert d == {"a": total, "under lock": total, "under rlock": total}
    assert x == [total] and ns.n == total and value.value == 2 * total


def count_with_and_without_lock(number, d, value, rounds):
    for _ in range(rounds):
        with value.lock:
            value.value += 1
        value.add(1)
        with d.lock:
            d["a"] = d["a"] + 1
        d.incr("a")


def test_lock_waits_for_changes_begun_before(manager):
    """Who has the lock is not overtaken by a change that began before it was taken."""
    d, value = manager.dict(a=0), manager.Value("i", 0)
    run_workers("fork", count_with_and_without_lock, d, value, 10_000)
    assert d["a"] == value.value == 2 * 10_000 * WORKERS


# Entries and items


def fill_own_keys(number, d, count):
    for i in range(count):
        d[number, i] = [number, i]
        d[f"{number}-{i}"] = i
        if i % 3 == 0:
            del d[number, i]
    for i in range(count):
        assert d[f"{number}-{i}"] == i
        assert d.get((number, i)) == (None if i % 3 == 0 else [number, i])


def test_different_keys(manager, method):
    """Each process's keys are all there while the table grows under all of them."""
    d = manager.dict()
    run_workers(method, fill_own_keys, d, 2000)
    want = {(n, i): [n, i] for n in range(WORKERS) for i in range(2000) if i % 3}
    want.update({f"{n}-{i}": i for n in range(WORKERS) for i in range(2000)})
    assert d == want
    for number in range(WORKERS):
        mine = [key for key in d if isinstance(key, str) and key.startswith(f"{number}-")]
        assert mine == [f"{number}-{i}" for i in range(2000)]


def append_own(number, x, count):
    for i in range(count):
        if i % 10 == 0:
            x.extend([(number, i, "first"), (number, i, "second")])
        elif i % 10 == 1:
            x += [(number, i, None)]
        else:
            x.append((number, i, None))


def test_appending(manager, method):
    """No item is lost, each process's keep their order, and what was added in one step stays together."""
    x = manager.list()
    run_workers(method, append_own, x, 2000)
    items = x[:]
    assert len(items) == WORKERS * 2200
    for number in range(WORKERS):
        mine = [item[1] for item in items if item[0] == number]
        assert mine == [i for i in range(2000) for _ in range(2 if i % 10 == 0 else 1)]
    for here, after in itertools.pairwise(items):
        if here[2] == "first":
            assert after == (here[0], here[1], "second")


def insert_and_remove(number, x, count):
    for i in range(count):
        x.insert(0, (number, i))
        x.append((number, -i))
        x.remove((number, i))
        place = len(x) // 4  # (once: others make it longer meanwhile)
        x[place:place] = [(number, "slice")] * 3
        with x.lock:
            place = x.index((number, "slice"))
            assert x.pop(place) == (number, "slice")
        x.remove((number, "slice"))
        x.remove((number, "slice"))


def test_inserting_and_removing(manager):
    """Items that other processes move about meanwhile are neither lost nor doubled."""
    x = manager.list(["anchor"])
    run_workers("fork", insert_and_remove, x, 100)
    want = [(number, -i) for number in range(WORKERS) for i in range(100)]
    assert sorted(item for item in x if item != "anchor") == sorted(want)
    assert x.count("anchor") == 1


def take_all(number, d, x, taken):
    mine = []
    while True:
        try:
            mine.append(("dict", d.popitem()[0]))
        except KeyError:
            break
    while True:
        try:
            mine.append(("list", x.pop(0 if len(mine) % 2 else -1)))
        except IndexError:
            break
    taken.extend(mine)


def test_taking_out(manager, method):
    """What all processes take out is each thing exactly once."""
    d, x, taken = manager.dict((i, str(i) * 9) for i in range(3000)), manager.list(range(3000)), manager.list()
    run_workers(method, take_all, d, x, taken)
    assert len(d) == len(x) == 0
    assert sorted(taken) == [(kind, i) for kind in ("dict", "list") for i in range(3000)]


def first_wins(number, d, won, count):
    for i in range(count):
        got = d.setdefault(i, [number, "x" * (i % 40)])
        if got[0] == number:
            won.append(i)


def test_setdefault_has_one_winner(manager, method):
    """Of all who set a key's default, one wins, and all see what it put there."""
    d, won = manager.dict(), manager.list()
    run_workers(method, first_wins, d, won, 1000)
    assert sorted(won) == list(range(1000))


def sort_and_reverse(number, x, rounds):
    for _ in range(rounds):
        x.sort(reverse=bool(number % 2))
        x.reverse()
        x.append(number)


def test_sorting_at_once(manager):
    """Sorting beside others who append loses no item."""
    x = manager.list(range(300))
    run_workers("fork", sort_and_reverse, x, 60)
    assert sorted(x) == sorted([*range(300), *[n for n in range(WORKERS) for _ in range(60)]])


# Reading beside a writer: every value tells whether it is whole

LENGTHS = [0, 1, 2, 7, 13, 14, 15, 16, 31, 32, 63, 100, 255, 256, 1000, 4080, 4095, 4096, 4097, 8192, 20_000]
WIDTHS = "a\xe9\u20ac\U0001f40d"


def whole_text(n):
    """A text that repeats one character, whose number tells the length."""
    length = LENGTHS[n % len(LENGTHS)]
    return chr(ord(WIDTHS[n % 4]) + n % 20) * length if n % 4 < 2 else WIDTHS[n % 4] * length


def is_whole(value):
    """Whether a value of `write_values` is one of those that it writes, whole."""
    if isinstance(value, (str, bytes)):
        return len(value) in LENGTHS and len(set(value)) <= 1
    if isinstance(value, int):
        return value >> 64 == 0 and value >> 32 == value & 0xFFFFFFFF
    if isinstance(value, tuple):
        n, negative, text, again = value
        return n == -negative == again and text == str(n) * (n % 30)
    return value is None


ENOUGH = 20  # what each reader reads at the least while the writer writes, however the system shares its processors


def rounds_beside(seen, readers, rounds):
    """Count the rounds of a writer: so many, and on until each reader has read enough, but not for ever."""
    end = time.monotonic() + LIMIT_S / 2
    number = 0
    while number < rounds or ((len(seen) < readers or min(seen.values()) <= ENOUGH) and time.monotonic() < end):
        yield number
        number += 1


def write_values(d, x, seen, readers, rounds):
    for n in rounds_beside(seen, readers, rounds):
        text = whole_text(n)
        d["text"] = text
        d["bytes"] = bytes([n % 256]) * LENGTHS[n % len(LENGTHS)]
        d["int"] = (n & 0xFFFFFFFF) * ((1 << 32) + 1)
        d["tuple"] = (n, -n, str(n) * (n % 30), n)
        d["mixed"] = [text, n * ((1 << 32) + 1), None, (n, -n, str(n) * (n % 30), n)][n % 4]
        d.update(left=n, right=n, text2=text, text3=text)
        x[:] = [n] * (n % 40 + 1)
        if n % 7 == 0:
            d.pop("mixed")
            d.update((("key", i, n), i) for i in range(20))
            for i in range(20):
                del d["key", i, n]
    d["done"] = True


def read_values(d, x, seen, reader, alive):
    reads = 0
    names = ["text", "bytes", "int", "tuple", "mixed"]
    while not d.get("done") and alive():
        for name in names * 5:
            value = d.get(name)
            assert is_whole(value), (name, value)
        snapshot = dict(d.items())
        assert snapshot.get("left") == snapshot.get("right")
        assert snapshot.get("text2") == snapshot.get("text3")
        assert all(is_whole(snapshot.get(name)) for name in names)
        items = x[:]
        assert items == [] or (len(set(items)) == 1 and len(items) == items[0] % 40 + 1), items
        for value in x:
            assert isinstance(value, int)
        d.keys(), d.copy(), len(d), "mixed" in d
        reads += 1
        seen[reader] = reads
    assert reads > ENOUGH


def test_reading_beside_a_writer(manager, method):
    """A reader sees every value whole, each snapshot as it was at one moment, and never waits for the writer."""
    d, x, seen = manager.dict(), manager.list(), manager.dict()
    run(method, write_values, (d, x, seen, 1, 4000), meanwhile=lambda alive: read_values(d, x, seen, 0, alive))
    assert d["done"] is True


def write_then_read(number, d, x, seen, rounds):
    if number == 0:
        write_values(d, x, seen, WORKERS - 1, rounds)
    else:
        read_values(d, x, seen, number, lambda: True)


def test_two_readers_beside_a_writer(manager):
    """The same with two reading processes."""
    d, x, seen = manager.dict(), manager.list(), manager.dict()
    run_workers("fork", write_then_read, d, x, seen, 3000)


def write_references(manager, d, seen, rounds):
    for n in rounds_beside(seen, 1, rounds):
        d["inner"] = manager.list([n, n])
        if n % 3 == 0:
            del d["inner"]
    d["done"] = True


def test_reading_references_beside_a_writer(manager):
    """A reference that was read is an object that lives, though the writer drops it at once."""
    d, seen = manager.dict(), manager.dict()

    def read(alive):
        found = 0
        while not d.get("done") and alive():
            inner = d.get("inner")
            if inner is not None:
                left, right = inner
                assert left == right
                found += 1
                seen["reader"] = found
        assert found > ENOUGH

    manager.segment.recover()
    objects = manager.segment.stats().objects
    run("fork", write_references, (manager, d, seen, 3000), meanwhile=read)
    d.clear()
    manager.segment.recover()
    assert manager.segment.stats().objects == objects


# Pools


def count_words(d, words):
    for word in words:
        d.incr(word)
    return len(words)


def make_dict(number):
    return mpshm.Dict({"number": number})


def test_pool(manager, method):
    """A pool's workers fill one dict; what a worker made comes back alive."""
    d = manager.dict()
    words = ["the", "quick", "brown", "fox", "the", "lazy", "dog", "the", "end"]
    with mpshm.get_context(method).Pool(2) as pool:
        done = pool.starmap_async(count_words, [(d, words)] * 50)
        assert sum(done.get(LIMIT_S)) == 50 * len(words)
        made = pool.map_async(make_dict, range(20)).get(LIMIT_S)
        assert [each["number"] for each in made] == list(range(20))
        pool.close()
        pool.join()
    assert d["the"] == 150 and sum(d.values()) == 50 * len(words)
    assert [each["number"] for each in made] == list(range(20))


def test_executor(manager, method):
    """The same through concurrent.futures."""
    d = manager.dict()
    context = mpshm.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        futures = [executor.submit(count_words, d, ["a", "b"]) for _ in range(50)]
        made = [executor.submit(make_dict, number) for number in range(10)]
        assert sum(future.result(LIMIT_S) for future in futures) == 100
        made = [future.result(LIMIT_S) for future in made]
    assert d == {"a": 50, "b": 50}
    assert [each["number"] for each in made] == list(range(10))
