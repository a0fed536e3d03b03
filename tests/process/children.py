"""Children that run one thing and end."""

import os


def forked(run, *args):
    """Run it in a child; the process number."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            run(*args)
            status = 0
        except BaseException as error:  # it must not get into pytest's frames
            os.write(2, repr(error).encode())
        finally:
            os._exit(status)
    return pid
