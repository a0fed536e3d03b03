/* os.h -- everything that the core asks of the operating system.
 *
 * The only floor that may look at which system it is. os_linux.c holds what is Linux's own, os_posix.c
 * the rest. Descriptors are close-on-exec. Times are nanoseconds of the monotonic clock.
 */
#ifndef MPS_OS_H
#define MPS_OS_H

#include "base.h"

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

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

/* ---- files by their path ---- */

#define MPS_OS_WRITE 1u    /* for reading and writing; else for reading only */
#define MPS_OS_MAKE 2u     /* a new file: MPS_E_EXISTS when there is one */
#define MPS_OS_NO_LINKS 4u /* a symbolic link is not followed */

/* A regular file: MPS_E_NOTFOUND, MPS_E_EXISTS, MPS_E_PERM, MPS_E_FULL, MPS_E_FOREIGN (something else), MPS_E_OS. */
mps_status mps_os_open(const char *path, unsigned how, uint32_t permissions, int *fd);
/* The file that the path leads to now. */
mps_status mps_os_path_id(const char *path, uint64_t *dev, uint64_t *ino);
mps_status mps_os_unlink(const char *path);
mps_status mps_os_chmod(int fd, uint32_t permissions);
/* Like mps_os_file_is_ours, but users and permissions that the mask has may do as they like. */
mps_status mps_os_file_is_trusted(int fd, uint32_t permissions, bool *trusted);
mps_status mps_os_read(int fd, uint64_t off, void *to, uint64_t len);
mps_status mps_os_write(int fd, uint64_t off, const void *from, uint64_t len);
/* Makes the file exactly so long. */
mps_status mps_os_truncate(int fd, uint64_t size);
/* The next run of bytes from off on that has memory; *begin == *end when there is none. */
mps_status mps_os_next_data(int fd, uint64_t off, uint64_t *begin, uint64_t *end);
/* All that was written, through mappings too, is on the disk afterwards. */
mps_status mps_os_sync(int fd);
/* The same of some bytes that are mapped from a file. */
mps_status mps_os_sync_memory(void *from, uint64_t len);

/* ---- threads ---- */

/* Whether the process has the calling thread only, as far as that is known at once. */
static inline bool mps_os_is_alone(void)
{
#if __has_include(<sys/single_threaded.h>)
    return __libc_single_threaded != 0;
#else
    return false;
#endif
}

/* ---- address space ---- */

#define MPS_MAP_SHARED 0u  /* the file's bytes, writable */
#define MPS_MAP_READ 1u    /* the file's bytes, not writable */
#define MPS_MAP_PRIVATE 2u /* no file (fd -1): zeros of this process's own */

/* Maps length bytes of the file, more than it has now if need be. address: where, a multiple of the page size, 0 for anywhere;
 * MPS_E_BUSY when something is there. */
mps_status mps_os_map_at(int fd, uint64_t length, unsigned how, uint64_t address, void **base);
/* The same, anywhere, shared and writable. */
mps_status mps_os_map(int fd, uint64_t length, void **base);
/* Pages of a file from `offset` on as they are now, to be written to: what is written stays in this process. MPS_E_NOMEM. */
mps_status mps_os_map_copy(int fd, uint64_t offset, uint64_t length, void **base);
/* Whether any page of such a mapping was written to; true where the system does not tell. */
bool mps_os_written(const void *base, uint64_t length);
void mps_os_unmap(void *base, uint64_t length);
/* Gives whole pages of private memory back: they read as zero afterwards. */
mps_status mps_os_discard(void *base, uint64_t length);

/* ---- locks of bytes of a file, which the kernel drops when their holder dies ---- */

/* Locks one byte for an open file description: MPS_E_BUSY when another one has it in a way that does not allow it. */
mps_status mps_os_byte_lock(int fd, uint64_t index, bool exclusive);
void mps_os_byte_unlock(int fd, uint64_t index);
/* Whether another description has a lock on any byte of [index, index+count): 1, 0 or a negative status. */
int mps_os_bytes_held(int fd, uint64_t index, uint64_t count);

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
/* What tells this run of the system from those before the last start of the machine. */
void mps_os_boot_id(uint8_t id[16]);
/* Bytes of memory that this process may hope for: the smaller of physical memory and its cgroup's limit. */
uint64_t mps_os_memory_limit(void);
/* Bytes of address space that this process may map (RLIMIT_AS), UINT64_MAX when unlimited. */
uint64_t mps_os_address_limit(void);
/* Called around every fork() of this process, from now on. */
mps_status mps_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

#endif
