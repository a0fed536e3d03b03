/* os.h -- everything that the core asks of the operating system.
 *
 * The only floor that may look at which system it is. os_linux.c holds what is Linux's own, os_posix.c
 * the rest. Descriptors are close-on-exec. Times are nanoseconds of the monotonic clock.
 */
#ifndef MPS_OS_H
#define MPS_OS_H

#include "base.h"

/* A memory file without a name in the file system, of size 0; it can't shrink once it has grown. The label shows in /proc. */
mps_status mps_os_memfd(const char *label, int *fd);

/* Another open file description of the same file (so that locks on it are our own). */
mps_status mps_os_reopen(int fd, int *out);
mps_status mps_os_dup(int fd, int *out);
void mps_os_close(int fd);

/* Gives the range [off, off+len) memory, growing the file where needed: MPS_E_FULL when refused. */
mps_status mps_os_reserve(int fd, uint64_t off, uint64_t len);
/* Grows the file to at least size without giving it memory. */
mps_status mps_os_extend(int fd, uint64_t size);
/* Gives the memory of a range back; it reads as zero afterwards. */
mps_status mps_os_punch(int fd, uint64_t off, uint64_t len);
mps_status mps_os_file_size(int fd, uint64_t *size);
mps_status mps_os_file_id(int fd, uint64_t *dev, uint64_t *ino);
/* Whether the file belongs to this user, and no other user may write it. */
mps_status mps_os_file_is_ours(int fd, bool *ours);

/* Maps length bytes of the file, more than it has now if need be, shared and writable. */
mps_status mps_os_map(int fd, uint64_t length, void **base);
void mps_os_unmap(void *base, uint64_t length);

/* Liveness: one byte of a file, locked by an open file description; the kernel lets go at any death. */
mps_status mps_os_live_lock(int fd, uint64_t index); /* MPS_E_BUSY when another description has it */
void mps_os_live_unlock(int fd, uint64_t index);
/* 1: another open file description holds it; 0: nobody does; negative: a status. */
int mps_os_live_held(int fd, uint64_t index);

/* Sleeps while *word == expected, timeout_ns at most (0: no wait at all). MPS_OK, MPS_E_TIMEOUT or MPS_E_INTR. */
mps_status mps_os_wait(uint32_t *word, uint32_t expected, uint64_t timeout_ns);
/* How many were woken. */
uint32_t mps_os_wake(uint32_t *word, uint32_t count);
/* Lets one who sleeps on a word sleep on another instead. */
void mps_os_requeue(uint32_t *word, uint32_t *other);

uint64_t mps_os_now(void);
void mps_os_sleep(uint64_t ns);
mps_status mps_os_random(void *out, size_t n);
uint64_t mps_os_thread_id(void); /* unique among the living threads of this process, never 0 */
/* Processors that this process may run on. */
uint32_t mps_os_processors(void);
uint32_t mps_os_pid(void);
uint32_t mps_os_user(void);
/* Bytes of memory that this process may hope for: the smaller of physical memory and its cgroup's limit. */
uint64_t mps_os_memory_limit(void);
/* Bytes of address space that this process may map (RLIMIT_AS), UINT64_MAX when unlimited. */
uint64_t mps_os_address_limit(void);
/* Called around every fork() of this process, from now on. */
mps_status mps_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

#endif
