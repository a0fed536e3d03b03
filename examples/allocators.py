"""A to-do list that many processes change, and what its allocator does with the memory meanwhile.

The jobs wait in a linked list, the results come into a sorted map. Both take their nodes from pools: of the list's
the memory goes back to the segment by itself, of the map's when it is asked for.
"""

import mpshm as mp


def work(jobs: mp.LinkedList[int], results: mp.Map[int, int]) -> None:
    """Take jobs from the front until none is left."""
    while True:
        try:
            job = jobs.popleft()
        except IndexError:
            return
        results[job] = job**2


if __name__ == "__main__":
    segment = mp.AnonymousSegment()
    jobs = segment.construct(
        mp.LinkedList, "jobs", range(5000), allocator=mp.CachedAdaptivePool(max_free_chunks=0, max_cached_nodes=32)
    )
    results = segment.construct(mp.Map, "results", allocator=mp.NodePool(nodes_per_chunk=16))
    print(f"{len(jobs)} jobs in {jobs.allocator.stats().chunks} chunks")

    workers = [mp.Process(target=work, args=(jobs, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"{len(results)} results, the last is {results.peekitem()}")

    jobs.allocator.deallocate_cache()  # what this process has at hand; the workers' went back when they ended
    segment.recover()  # (at once, instead of when somebody next needs it)
    print(f"{len(jobs)} jobs in {jobs.allocator.stats().chunks} chunks")

    archive = segment.construct(mp.Map, "archive", results.items(), allocator=results.allocator)
    results.clear()
    pool = archive.allocator
    print(f"one pool for both maps: {pool.stats().used} nodes in use, {pool.stats().free} free")
    print(f"{pool.deallocate_free_chunks()} chunks given back")
