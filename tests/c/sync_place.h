/* sync_place.h -- what the tests of synchronization share: an object in a segment, threads, and processes that die.
 *
 * A second attachment of an adopted segment is another process to the core; one that is abandoned has died.
 */
#ifndef MPS_TESTS_SYNC_PLACE_H
#define MPS_TESTS_SYNC_PLACE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"
#include "recover.h"
#include "refs.h"

#define MS ((uint64_t)1000000)
#define LONG_NS (20000 * MS) /* no wait of a test lasts so long */
#define BUFFER ((uint64_t)1 << 20)

static const mps_door door = MPS_DOOR_FREE;

typedef struct place {
    mps_seg *seg;
    mps_off off;
    void *buffer; /* of an adopted segment */
} place;

static inline uint64_t place_size(uint32_t kind)
{
    return mps_kind_find(kind)->size;
}

/* An object in a segment that other processes can share. */
static inline place place_make(uint32_t kind)
{
    place p = {0};
    uint64_t serial;
    CHECK_OK(mps_seg_create_anonymous(0, 0, &p.seg));
    CHECK_OK(mps_object_new(p.seg, door, kind, place_size(kind), &p.off, &serial));
    return p;
}

/* An object in a segment that other attachments of this process can share. */
static inline place place_adopt(uint32_t kind)
{
    place p = {.buffer = check_buffer(BUFFER)};
    uint64_t serial;
    p.seg = check_adopt(p.buffer, BUFFER, true);
    CHECK_OK(mps_object_new(p.seg, door, kind, place_size(kind), &p.off, &serial));
    return p;
}

/* Nothing is left of the object. */
static inline void place_end(place *p)
{
    uint32_t count;
    CHECK_OK(mps_recover_all(p->seg, &count));
    CHECK_SOUND(p->seg);
    mps_ref_drop(p->seg, door, p->off);
    CHECK(mps_load64(&mps_seg_root(p->seg)->objects) == 0);
    CHECK_SOUND(p->seg);
    mps_seg_release(p->seg);
    free(p->buffer);
}

static inline pthread_t in_thread(void *(*body)(void *arg), void *arg)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, arg) == 0);
    return thread;
}

static inline void join(pthread_t thread)
{
    CHECK(pthread_join(thread, NULL) == 0);
}

static inline int reap(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
    }
    return status;
}

#endif
