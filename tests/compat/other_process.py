"""Another process that calls methods of shared objects on request: proof that no lock is held here."""

import multiprocessing


def _serve(pipe):
    """Carry out (object, method name, arguments) and answer with what came back, until None comes."""
    while True:
        request = pipe.recv()
        if request is None:
            return
        target, method, args = request
        try:
            if callable(method):
                pipe.send((True, method(target, *args)))
            else:
                pipe.send((True, getattr(target, method)(*args)))
        except Exception as error:
            pipe.send((False, error))
        del request, target, args


class OtherProcess:
    """A spawned process that must answer soon."""

    def __init__(self):
        self.pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def call(self, target, method, *args, timeout=20):
        """What `target.method(*args)`, or `method(target, *args)`, gives there.

        TimeoutError if nothing comes, as when a lock is held.
        """
        self.pipe.send((target, method, args))
        if not self.pipe.poll(timeout):
            raise TimeoutError(f"{method} in the other process did not come back: a lock is held")
        done, result = self.pipe.recv()
        if not done:
            raise result
        return result

    def end(self):
        """Let it go, or kill it if it does not go."""
        try:
            self.pipe.send(None)
            self.process.join(5)
        finally:
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
            self.pipe.close()
