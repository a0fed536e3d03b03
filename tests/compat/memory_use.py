"""Whether something leaves memory of a segment behind."""

import contextlib
import gc

# Bytes that caches of free blocks may hold more than before; a leak of a block per round is more.
CACHES = 64 << 10


@contextlib.contextmanager
def leaves_nothing(manager):
    """As many objects and blocks at the end as at the beginning, and no more bytes than caches explain."""
    gc.collect()
    before = manager.segment.stats()
    yield before
    gc.collect()
    after = manager.segment.stats()
    assert (after.objects, after.blocks) == (before.objects, before.blocks)
    assert after.used <= before.used + CACHES
    assert manager.segment.check() is None
