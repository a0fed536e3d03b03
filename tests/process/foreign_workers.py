"""What workers of other libraries do with shared objects; importable by all of them."""

import os

import mpshm


class Tally:
    """A class of a user's, for register()."""

    def __init__(self):
        self.seen = {}

    def count(self, word):
        self.seen[word] = self.seen.get(word, 0) + 1

    def get(self):
        return self.seen


class TallyManager(mpshm.managers.SyncManager):
    pass


TallyManager.register("Tally", Tally)


def change(shared, lock, items, tally, n, dict=mpshm.Dict, list=mpshm.List):
    """Change what was given, and return a shared object that was made here."""
    for _ in range(n):
        with lock:
            shared["sum"] = shared.get("sum", 0) + 1
        shared.incr("steps")
        tally.count("step")
    items.append(os.getpid())
    return dict(pid=os.getpid(), made=list([n]))


def change_by_cloudpickle(shared, lock, items, tally, n):
    """The same as a closure that no plain pickle takes."""
    import cloudpickle

    return cloudpickle.dumps(lambda: change(shared, lock, items, tally, n))


def run_pickled(pickled):
    import cloudpickle

    return cloudpickle.loads(pickled)()


def keep(manager, results, *args):
    """For processes, which return nothing, and have ended when the results are read."""
    results.append(change(*args, manager.dict, manager.list))


def serve(queue, answers):
    """Change what comes, and answer with what was made, until None comes: then all answers have been received."""
    while (args := queue.get(timeout=60)) is not None:
        answers.put(change(*args))
