"""A C structure in shared memory, with a lock beside it that guards its fields together."""

import ctypes
import os

import mpshm as mp


class Account(ctypes.Structure):
    """What two fields say must fit together."""

    _fields_ = (("balance", ctypes.c_int64), ("bookings", ctypes.c_uint32))


def book(name: str, amount: int) -> None:
    """Change both fields, many times."""
    segment = mp.ManagedSharedMemory(name, "r+")
    account = segment.find("account", Account)
    lock = segment.find("lock", mp.Lock)
    for _ in range(500):
        with lock:
            account.balance += amount
            account.bookings += 1


if __name__ == "__main__":
    name = f"ctypes_structure_{os.getpid()}"
    segment = mp.ManagedSharedMemory(name, "x")
    try:
        account = segment.construct(Account, "account", balance=1000)
        segment.construct(mp.Lock, "lock")
        workers = [mp.Process(target=book, args=(name, amount)) for amount in (3, -1)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(account.balance, account.bookings, segment.info("account").nbytes)
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# 2000 1000 16
