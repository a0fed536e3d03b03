#include "segment.h"
#include "check.h"
#include "crash.h"
#include "opening.h"
#include "os.h"
typedef struct mps_seg mps_seg;
typedef struct {
    uint8_t id[16];
    uint64_t dev, ino, max_size;
    int32_t fd;
    uint32_t slot;
    uint64_t address;
    uint32_t readonly, heap;
} mps_identity;
typedef struct {
    const char *path;
    const uint8_t *id;
    uint64_t size, max_size, address, timeout_ns;
    uint32_t permissions, how, version, made;
    char why[256];
} mps_opening;
typedef struct {
    uint64_t size, used, free, max_size, largest_free, overhead, cached, objects, blocks;
    uint32_t processes, slots;
    uint64_t recoveries;
} mps_stats;
int mps_seg_create_with(uint64_t size, uint64_t max_size, uint32_t allocator, mps_seg **out);
int mps_seg_is_sequential(mps_seg *seg);
void mps_seg_keep(mps_seg *seg, uint64_t nbytes);
int mps_seg_attach_fd(int fd, const uint8_t *id, mps_seg **out);
int mps_seg_open(mps_opening *o, mps_seg **out);
int mps_seg_unlink(const char *path);
int mps_seg_flush(mps_seg *seg);
int mps_seg_create_heap(uint64_t size, uint64_t max_size, uint32_t allocator, uint64_t address, mps_seg **out);
int mps_seg_load(const void *bytes, uint64_t size, uint64_t max_size, bool readonly, mps_seg **out);
int mps_seg_extent(mps_seg *seg, uint64_t *size);
int mps_seg_save(mps_seg *seg, void *to, uint64_t size);
int mps_seg_adopt(void *buffer, uint64_t size, bool format, mps_seg **out);
int mps_seg_adopt_readonly(const void *buffer, uint64_t size, mps_seg **out);
mps_seg *mps_slots_find_at(const void *base);
int mps_seg_shrink(mps_seg *seg);
int mps_seg_zero_free(mps_seg *seg);
mps_seg *mps_seg_find(const uint8_t *id, bool readonly);
void mps_seg_retain(mps_seg *seg);
void mps_seg_release(mps_seg *seg);
int mps_seg_shutdown(mps_seg *seg);
int mps_seg_is_closed(mps_seg *seg);
void mps_seg_identity(mps_seg *seg, mps_identity *out);
int mps_seg_stats(mps_seg *seg, mps_stats *out);
int mps_seg_check(mps_seg *seg, char *why, size_t why_size);
int mps_seg_grow(mps_seg *seg, uint64_t nbytes);
int mps_seg_recover(mps_seg *seg);
#define MPS_VERSION ...
int mps_os_reserve(int fd, uint64_t off, uint64_t len);
uint64_t mps_os_memory_limit(void);
int mps_last_errno(void);
const char *mps_status_text(int status);
int mps_crash_arm(uint64_t n);
uint64_t mps_crash_count(void);
