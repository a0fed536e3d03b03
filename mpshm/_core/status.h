/* status.h -- what a core function may answer.
 *
 * Every fallible function returns an mps_status; results leave through the last pointers. Numbers are
 * negative, stable and never used again for another meaning. The errno of the system call behind
 * MPS_E_OS and MPS_E_PERM travels beside it: mps_last_errno(), per thread.
 */
#ifndef MPS_STATUS_H
#define MPS_STATUS_H

typedef enum mps_status {
    MPS_OK = 0,
    MPS_E_NOMEM = -1,     /* the process has no private memory left */
    MPS_E_FULL = -2,      /* the segment is at max_size, or the system refused it more memory */
    MPS_E_CORRUPT = -3,   /* the bytes of the segment contradict themselves */
    MPS_E_CLOSED = -4,    /* the segment was shut down */
    MPS_E_STALE = -5,     /* a handle outlived its object */
    MPS_E_NOTFOUND = -6,  /* no such key, name or item */
    MPS_E_EXISTS = -7,    /* the name is taken */
    MPS_E_VERSION = -8,   /* another format version */
    MPS_E_PERM = -9,      /* the system or the segment's owner does not allow it */
    MPS_E_OS = -10,       /* a system call failed: see mps_last_errno() */
    MPS_E_TIMEOUT = -11,  /* the time given has passed */
    MPS_E_RETRY = -12,    /* a reader saw a change half done: read again, or take the lock */
    MPS_E_RANGE = -13,    /* index out of range */
    MPS_E_SLOTS = -14,    /* every slot is taken by a living process */
    MPS_E_INTR = -15,     /* a signal came while waiting */
    MPS_E_NOTOWNER = -16, /* released by one who does not hold it */
    MPS_E_INVAL = -17,    /* an argument is out of its range */
    MPS_E_CHANGED = -18,  /* the object was changed meanwhile: nothing was done */
    MPS_E_READONLY = -19, /* the mapping does not allow writing */
    MPS_E_TYPE = -20,     /* the object is of another kind */
    MPS_E_BUSY = -21,     /* a user's lock is held by another: wait for it, then try again */
    MPS_E_FOREIGN = -22,  /* not a segment, or not the one that was asked for */
    MPS_E_TOOLARGE = -23, /* more than this structure can ever hold */
    MPS_E_OVERFLOW = -24, /* the number does not fit: take the general path */
} mps_status;

/* One plain sentence for a status; never NULL. */
const char *mps_status_text(int status);

/* The errno of this thread's last MPS_E_OS or MPS_E_PERM. */
int mps_last_errno(void);

/* Remembers errno for mps_last_errno() and returns status. */
mps_status mps_fail_errno(mps_status status);

#endif
