"""A map in the order of its keys, and its kin: several values for a key, a set."""

import mpshm as mp


def add(readings: mp.Map, first: int) -> None:
    """Put every second reading in."""
    for hour in range(first, 24, 2):
        readings[hour] = f"{hour}:00"


if __name__ == "__main__":
    readings = mp.Map()
    workers = [mp.Process(target=add, args=(readings, first)) for first in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(len(readings), readings.peekitem(0), readings.peekitem())
    print("from 9 to 12:", list(readings.irange(9, 12)))
    print("the first after 20.5 is at place", readings.upper_bound(20.5))
    words = mp.MultiMap([(3, "one"), (3, "two"), (5, "three")])
    words.add(3, "six")
    print(words.getall(3), words.count(5))
    primes = mp.SortedSet([7, 2, 5, 3])
    primes |= {11, 13}
    print(primes[0], primes[1:4], 9 in primes)

# prints:
# 24 (0, '0:00') (23, '23:00')
# from 9 to 12: [9, 10, 11, 12]
# the first after 20.5 is at place 21
# ['one', 'two', 'six'] 1
# 2 [3, 5, 7] False
