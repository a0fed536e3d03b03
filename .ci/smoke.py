"""A few minutes' acquaintance with an installed mpshm, far from its source tree: exits with 0 if all is well."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version

import mpshm as mp


def count(words, shared, progress):
    for word in words:
        shared.incr(word)
    progress.append(len(words))
    return shared


def main() -> None:
    assert "numpy" not in sys.modules
    for method in mp.get_all_start_methods():
        context = mp.get_context(method)
        with mp.Manager() as manager:
            shared, progress = manager.dict({"a": 1}), manager.list()
            shared["nested"] = manager.list([1, 2])
            process = context.Process(target=count, args=(["a", "b", "a"], shared, progress))
            process.start()
            process.join()
            assert process.exitcode == 0
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                results = [pool.submit(count, ["b", "c"], shared, progress) for _ in range(10)]
                assert all(result.result() == shared for result in results)
            shared["nested"].append(3)
            assert shared["nested"][:] == [1, 2, 3]
            del shared["nested"]
            assert shared == {"a": 3, "b": 11, "c": 10}, shared
            assert sorted(progress) == [2] * 10 + [3]
            assert manager.segment.check() is None
        try:
            shared["a"]
        except mp.SegmentClosedError:
            pass
        else:
            raise AssertionError("a handle outlived shutdown()")
    print(f"mpshm {version('mpshm')} works on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
