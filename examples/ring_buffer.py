"""The last items of a stream: a deque of a greatest length, which a writer fills while others look."""

import mpshm as mp


def produce(latest: mp.Deque) -> None:
    """Append far more than there is room for."""
    for number in range(1000):
        latest.append(number)


if __name__ == "__main__":
    latest = mp.Deque(maxlen=5)
    producer = mp.Process(target=produce, args=(latest,))
    producer.start()
    producer.join()
    print(list(latest), latest.maxlen)
    latest.rotate(2)
    latest.appendleft(-1)
    print(list(latest))

# prints:
# [995, 996, 997, 998, 999] 5
# [-1, 998, 999, 995, 996]
