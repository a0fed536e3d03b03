#include "status.h"

#include <errno.h>

static _Thread_local int last_errno;

const char *mps_status_text(int status)
{
    switch ((mps_status)status) {
    case MPS_OK: return "success";
    case MPS_E_NOMEM: return "the process has no memory left";
    case MPS_E_FULL: return "the segment is full";
    case MPS_E_CORRUPT: return "the segment is corrupted";
    case MPS_E_CLOSED: return "the segment was shut down";
    case MPS_E_STALE: return "the object is gone";
    case MPS_E_NOTFOUND: return "not found";
    case MPS_E_EXISTS: return "it exists already";
    case MPS_E_VERSION: return "the segment has another format version";
    case MPS_E_PERM: return "permission denied";
    case MPS_E_OS: return "the operating system refused";
    case MPS_E_TIMEOUT: return "timed out";
    case MPS_E_RETRY: return "the object was being changed";
    case MPS_E_RANGE: return "index out of range";
    case MPS_E_SLOTS: return "too many processes are attached to the segment";
    case MPS_E_INTR: return "interrupted by a signal";
    case MPS_E_NOTOWNER: return "released by one who does not hold it";
    case MPS_E_INVAL: return "an argument is out of range";
    case MPS_E_CHANGED: return "the object was changed meanwhile";
    case MPS_E_READONLY: return "the segment is read-only";
    case MPS_E_TYPE: return "the object is of another type";
    case MPS_E_BUSY: return "the object is locked";
    case MPS_E_FOREIGN: return "not a segment, or not the one asked for";
    case MPS_E_TOOLARGE: return "too large";
    case MPS_E_OVERFLOW: return "the number is out of range";
    }
    return "unknown status";
}

int mps_last_errno(void)
{
    return last_errno;
}

mps_status mps_fail_errno(mps_status status)
{
    last_errno = errno;
    return status;
}
