#include "segment.h"
#include "check.h"
#include "crash.h"
#include "os.h"
typedef struct mps_seg mps_seg;
typedef struct {
    uint8_t id[16];
    uint64_t dev, ino, max_size;
    int32_t fd;
    uint32_t slot;
} mps_identity;
typedef struct {
    uint64_t size, used, free, max_size, largest_free, overhead, cached, objects, blocks;
    uint32_t processes, slots;
    uint64_t recoveries;
} mps_stats;
int mps_seg_create_anonymous(uint64_t size, uint64_t max_size, mps_seg **out);
int mps_seg_attach_fd(int fd, const uint8_t *id, mps_seg **out);
mps_seg *mps_seg_find(const uint8_t *id);
void mps_seg_retain(mps_seg *seg);
void mps_seg_release(mps_seg *seg);
int mps_seg_shutdown(mps_seg *seg);
int mps_seg_is_closed(mps_seg *seg);
void mps_seg_identity(mps_seg *seg, mps_identity *out);
int mps_seg_stats(mps_seg *seg, mps_stats *out);
int mps_seg_check(mps_seg *seg, char *why, size_t why_size);
int mps_seg_grow(mps_seg *seg, uint64_t nbytes);
int mps_seg_recover(mps_seg *seg);
int mps_os_reserve(int fd, uint64_t off, uint64_t len);
uint64_t mps_os_memory_limit(void);
int mps_last_errno(void);
const char *mps_status_text(int status);
int mps_crash_arm(uint64_t n);
uint64_t mps_crash_count(void);
