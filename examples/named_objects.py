"""Objects by name, from two programs that have nothing in common but the names.

The first makes a segment and puts an array and a dict into it. The second, which is started as any other program would
be, finds both, changes them and takes one away.
"""

import os
import subprocess
import sys

import mpshm as mp


def first_program(name: str) -> None:
    """Make what the other finds, run that, look."""
    segment = mp.ManagedSharedMemory(name, "x", 1 << 16)
    try:
        segment.construct("f8", "readings", [1.5, 2.5, 3.5])
        segment.construct(mp.Dict, "settings", unit="mm")
        subprocess.run([sys.executable, __file__, name], check=True)
        print("first:", segment.names(), segment["readings"].tolist())
        print("first:", segment.find("settings"), segment.destroy("settings"))
    finally:
        mp.ManagedSharedMemory.remove(name)


def second_program(name: str) -> None:
    """Find what the other has made."""
    segment = mp.ManagedSharedMemory(name, "r+")
    print("second:", segment.names(), segment.info("readings"), flush=True)
    segment["readings"][:] *= 10
    print("second:", segment["settings"]["unit"], segment.destroy("settings"), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        second_program(sys.argv[1])
    else:
        first_program(f"named_objects_{os.getpid()}")

# prints:
# second: ['readings', 'settings'] Info(kind='named', type='float64', length=3, nbytes=24)
# second: mm True
# first: ['readings'] [15.0, 25.0, 35.0]
# first: None False
