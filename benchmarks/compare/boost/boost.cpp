// boost.cpp -- the same rows with Boost.Interprocess; with the argument "std": what of it private memory can do, with malloc and std.
//
// Boost's containers lock nothing but the memory they take, and survive no kill. Where ours takes a lock for each operation there are two rows:
// against Boost as it is, and against Boost with the interprocess_mutex that sharing the container would need.
#include <boost/interprocess/allocators/adaptive_pool.hpp>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/allocators/cached_adaptive_pool.hpp>
#include <boost/interprocess/allocators/cached_node_allocator.hpp>
#include <boost/interprocess/allocators/node_allocator.hpp>
#include <boost/interprocess/allocators/private_adaptive_pool.hpp>
#include <boost/interprocess/allocators/private_node_allocator.hpp>
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/containers/deque.hpp>
#include <boost/interprocess/containers/list.hpp>
#include <boost/interprocess/containers/map.hpp>
#include <boost/interprocess/containers/vector.hpp>
#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/unordered_map.hpp>

#include <array>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

namespace bi = boost::interprocess;

// managed_shared_memory's algorithm, locks and index, in memory without a name.
using Segment = bi::basic_managed_external_buffer<char, bi::rbtree_best_fit<bi::mutex_family>, bi::iset_index>;
using Manager = Segment::segment_manager;
using Mutex = bi::interprocess_mutex;
using Lock = bi::scoped_lock<Mutex>;
using Node = std::array<char, BENCH_NODE>;
using Pair = std::pair<const int64_t, int64_t>;
template <class T> using Plain = bi::allocator<T, Manager>;
template <class T> using Cached = bi::cached_node_allocator<T, Manager>;

// A lock that is none.
struct Free {
    explicit Free(Mutex &) {}
};

struct Memory {
    static constexpr size_t size = size_t(1) << 30;
    bi::mapped_region region{bi::anonymous_shared_memory(size)};
    Segment segment{bi::create_only, region.get_address(), size};
};

static void say(const char *what, double begun, uint64_t n)
{
    bench_row(what, (bench_now() - begun) / double(n));
}

// ---- blocks and nodes ----

struct FromSegment {
    Segment &segment;
    void *take(size_t n) { return segment.allocate(n); }
    void give(void *p) { segment.deallocate(p); }
};

struct FromHeap {
    void *take(size_t n) { return std::malloc(n); }
    void give(void *p) { std::free(p); }
};

template <class Allocator> struct FromAllocator {
    Allocator allocator;
    void *take(size_t)
    {
        auto p = allocator.allocate_one(); /* (as their node containers do: allocate(1) passes the pool by) */
        return &*p;
    }
    void give(void *p) { allocator.deallocate_one(typename Allocator::pointer(static_cast<Node *>(p))); }
};

template <class Source> static double churn(Source &source, void **slots, uint64_t nbytes, double (*now)())
{
    uint64_t state = BENCH_SEED;
    for (unsigned i = 0; i < BENCH_LIVE; i++) {
        if (slots[i] == nullptr) {
            slots[i] = source.take(nbytes != 0 ? nbytes : bench_size(&state));
        }
    }
    double begun = now();
    for (unsigned i = 0; i < BENCH_PAIRS; i++) {
        uint64_t slot = bench_next(&state) % BENCH_LIVE;
        source.give(slots[slot]);
        slots[slot] = source.take(nbytes != 0 ? nbytes : bench_size(&state));
    }
    return (now() - begun) / BENCH_PAIRS;
}

// BENCH_BATCH given back, then as many taken.
template <class Source> static double batches(Source &source, void **slots, uint64_t nbytes)
{
    uint64_t state = BENCH_SEED;
    double begun = bench_now();
    for (unsigned i = 0; i < BENCH_PAIRS / BENCH_BATCH; i++) {
        void **at = slots + bench_next(&state) % (BENCH_LIVE - BENCH_BATCH);
        for (unsigned k = 0; k < BENCH_BATCH; k++) {
            source.give(at[k]);
        }
        for (unsigned k = 0; k < BENCH_BATCH; k++) {
            at[k] = source.take(nbytes);
        }
    }
    return (bench_now() - begun) / BENCH_PAIRS;
}

template <class Source> static void block_row(Source source)
{
    std::vector<void *> slots(BENCH_LIVE);
    double best = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        best = bench_least(best, churn(source, slots.data(), 0, bench_now));
    }
    for (void *p : slots) {
        source.give(p);
    }
    bench_row("alloc + free, 16 to 4096 B, 1000 live", best);
}

// As a container does it that has a lock.
template <class Source> struct Locked {
    Source &source;
    Mutex mutex;
    explicit Locked(Source &behind) : source(behind) {}
    void *take(size_t n)
    {
        Lock lock(mutex);
        return source.take(n);
    }
    void give(void *p)
    {
        Lock lock(mutex);
        source.give(p);
    }
};

template <class Source> static void node_rows_of(const std::string &name, Source source)
{
    std::vector<void *> slots(BENCH_LIVE);
    Locked<Source> locked(source);
    double each = 1e9, free = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        each = bench_least(each, churn(locked, slots.data(), BENCH_NODE, bench_now));
        free = bench_least(free, batches(source, slots.data(), BENCH_NODE));
    }
    for (void *p : slots) {
        source.give(p);
    }
    bench_row(("node of 32 B, " + name + ", a lock each").c_str(), each);
    bench_row(("node of 32 B, " + name + ", a lock for 8 (boost: none)").c_str(), free);
}

template <class Allocator> static void pool_rows(const char *name, Manager *manager)
{
    node_rows_of(name, FromAllocator<Allocator>{Allocator(manager)});
}

static void node_rows(Manager *manager)
{
    pool_rows<Plain<Node>>("allocator", manager);
    pool_rows<bi::node_allocator<Node, Manager>>("node_allocator", manager);
    pool_rows<bi::private_node_allocator<Node, Manager>>("private_node_allocator", manager);
    pool_rows<Cached<Node>>("cached_node_allocator", manager);
    pool_rows<bi::adaptive_pool<Node, Manager>>("adaptive_pool", manager);
    pool_rows<bi::private_adaptive_pool<Node, Manager>>("private_adaptive_pool", manager);
    pool_rows<bi::cached_adaptive_pool<Node, Manager>>("cached_adaptive_pool", manager);
}

struct Meeting {
    uint32_t arrived;
    double ns;
};

static void meet(Meeting *m)
{
    __atomic_add_fetch(&m->arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&m->arrived, __ATOMIC_SEQ_CST) < 2) {
    }
}

// What both together do in the time, by what one alone does.
template <class Source> static double gain(Source source)
{
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    Meeting *meeting = static_cast<Meeting *>(page);
    std::vector<void *> slots(BENCH_LIVE);
    double alone = 1e9, together = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        alone = bench_least(alone, churn(source, slots.data(), 0, bench_wall));
        meeting->arrived = 0;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            std::vector<void *> others(BENCH_LIVE);
            churn(source, others.data(), 0, bench_wall);
            meet(meeting);
            meeting->ns = churn(source, others.data(), 0, bench_wall);
            for (void *p : others) {
                source.give(p);
            }
            _exit(0);
        }
        meet(meeting);
        double ours = churn(source, slots.data(), 0, bench_wall);
        waitpid(pid, nullptr, 0);
        together = bench_least(together, 1 / (1 / ours + 1 / meeting->ns));
    }
    return alone / together;
}

// ---- containers ----

template <class Map> static uint64_t map_rows(Map &map, const std::string &name)
{
    uint64_t state = BENCH_SEED, found = 0;
    int64_t *keys = bench_keys(&state);
    double begun = bench_now();
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        map[keys[i]] = int64_t(i);
    }
    say((name + " insert, 1M random").c_str(), begun, BENCH_KEYS);
    bench_shuffle(keys, &state);
    begun = bench_now();
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        found += uint64_t(map.find(keys[i])->second);
    }
    say((name + " find, 1M random").c_str(), begun, BENCH_KEYS);
    begun = bench_now();
    for (const auto &pair : map) {
        found += uint64_t(pair.second);
    }
    say((name + " walk, 1M").c_str(), begun, BENCH_KEYS);
    begun = bench_now();
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        map.erase(keys[i]);
    }
    say((name + " erase, 1M random").c_str(), begun, BENCH_KEYS);
    std::free(keys);
    return found;
}

template <class Guard, class Vector> static double vector_fill(Vector &vector, Mutex &mutex)
{
    double begun = bench_now();
    for (uint64_t i = 0; i < BENCH_ITEMS; i++) {
        Guard guard(mutex);
        vector.push_back(int64_t(i));
    }
    return (bench_now() - begun) / BENCH_ITEMS;
}

// In memory that the vector has had before.
template <class Guard, class Vector> static void vector_row(const char *what, Vector &vector, Mutex &mutex)
{
    double best = 1e9;
    vector.resize(BENCH_ITEMS);
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        vector.clear();
        best = bench_least(best, vector_fill<Guard>(vector, mutex));
    }
    bench_row(what, best);
}

template <class Vector> static void append_row(Vector &vector)
{
    std::vector<int64_t> items(BENCH_ITEMS, 1);
    double best = 1e9;
    vector.resize(BENCH_ITEMS);
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        vector.clear();
        double begun = bench_now();
        vector.insert(vector.end(), items.begin(), items.end());
        best = bench_least(best, (bench_now() - begun) / BENCH_ITEMS);
    }
    bench_row("vector append, 10M in one piece", best);
}

template <class Guard, class Deque> static void deque_row(const char *what, Deque &deque, Mutex &mutex)
{
    double best = 1e9;
    for (unsigned i = 0; i < BENCH_LIVE; i++) {
        deque.push_back(int64_t(i));
    }
    for (unsigned r = 0; r < BENCH_REPEATS; r++) {
        volatile int64_t sink;
        double begun = bench_now();
        for (uint64_t i = 0; i < BENCH_KEYS; i++) {
            {
                Guard guard(mutex);
                deque.push_back(int64_t(i));
            }
            Guard guard(mutex);
            sink = deque.front();
            deque.pop_front();
        }
        (void)sink;
        best = bench_least(best, (bench_now() - begun) / BENCH_KEYS);
    }
    bench_row(what, best);
}

template <class Guard, class List> static void list_rows(const std::string &how, List &list, Mutex &mutex)
{
    double in = 1e9, out = 1e9;
    list.push_back(0);
    auto end = list.insert(list.end(), 1);
    for (unsigned r = 0; r < BENCH_REPEATS; r++) {
        double begun = bench_now();
        for (uint64_t i = 0; i < BENCH_KEYS; i++) {
            Guard guard(mutex);
            list.insert(end, int64_t(i));
        }
        in = bench_least(in, (bench_now() - begun) / BENCH_KEYS);
        auto at = ++list.begin();
        begun = bench_now();
        for (uint64_t i = 0; i < BENCH_KEYS; i++) {
            Guard guard(mutex);
            at = list.erase(at);
        }
        out = bench_least(out, (bench_now() - begun) / BENCH_KEYS);
    }
    bench_row(("list insert, 1M" + how).c_str(), in);
    bench_row(("list erase, 1M" + how).c_str(), out);
}

static const char VECTOR_LOCKED[] = "vector push, 10M, a lock each";
static const char VECTOR_FREE[] = "vector push, 10M, one lock for all (boost: none)";
static const char VECTOR_FRESH[] = "vector push, 10M, in fresh memory, one lock for all (boost: none)";
static const char DEQUE_LOCKED[] = "deque push + pop, a lock each";
static const char DEQUE_FREE[] = "deque push + pop, a lock each (boost: none)";
static const char DEQUE_ONCE[] = "deque push + pop, one lock for all (boost: none)";

// ---- names ----

static void name_rows(Segment &segment)
{
    static char texts[BENCH_NAMES][16];
    double best[3] = {1e9, 1e9, 1e9};
    for (unsigned i = 0; i < BENCH_NAMES; i++) {
        bench_name(texts[i], i);
    }
    for (unsigned r = 0; r < BENCH_REPEATS; r++) {
        int64_t sum = 0;
        double begun = bench_now();
        for (unsigned i = 0; i < BENCH_NAMES; i++) {
            segment.construct<int64_t>(texts[i])(int64_t(i));
        }
        double constructed = bench_now();
        for (unsigned i = 0; i < BENCH_NAMES; i++) {
            sum += *segment.find<int64_t>(texts[i * 7919u % BENCH_NAMES]).first;
        }
        double found = bench_now();
        for (unsigned i = 0; i < BENCH_NAMES; i++) {
            segment.destroy<int64_t>(texts[i]);
        }
        best[0] = bench_least(best[0], (constructed - begun) / BENCH_NAMES);
        best[1] = bench_least(best[1], (found - constructed) / BENCH_NAMES);
        best[2] = bench_least(best[2], (bench_now() - found) / BENCH_NAMES);
        if (sum == 0) {
            std::exit(1);
        }
    }
    bench_row("named construct", best[0]);
    bench_row("named find", best[1]);
    bench_row("named destroy", best[2]);
}

// ---- all of them ----

static uint64_t boost_rows()
{
    uint64_t found = 0;
    Mutex mutex;
    Memory memory;
    Segment &segment = memory.segment;
    Manager *manager = segment.get_segment_manager();
    block_row(FromSegment{segment});
    node_rows(manager);
    bench_row("alloc + free by two processes at once, by what one does alone", gain(FromSegment{segment}));
    name_rows(segment);
    {
        bi::map<int64_t, int64_t, std::less<int64_t>, Plain<Pair>> map{Plain<Pair>(manager)};
        found += map_rows(map, "map");
    }
    {
        boost::unordered_map<int64_t, int64_t, boost::hash<int64_t>, std::equal_to<int64_t>, Plain<Pair>> map{
            Plain<Pair>(manager)};
        found += map_rows(map, "hash map");
    }
    Plain<int64_t> plain(manager);
    using Vector = bi::vector<int64_t, Plain<int64_t>>;
    using Deque = bi::deque<int64_t, Plain<int64_t>>;
    {
        Vector vector(plain);
        vector_row<Lock>(VECTOR_LOCKED, vector, mutex);
    }
    {
        Vector vector(plain);
        vector_row<Free>(VECTOR_FREE, vector, mutex);
    }
    {
        Vector vector(plain);
        append_row(vector);
    }
    double fresh = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        Memory other;
        Vector vector(Plain<int64_t>(other.segment.get_segment_manager()));
        fresh = bench_least(fresh, vector_fill<Free>(vector, mutex));
    }
    bench_row(VECTOR_FRESH, fresh);
    Deque deque(plain);
    deque_row<Lock>(DEQUE_LOCKED, deque, mutex);
    deque_row<Free>(DEQUE_FREE, deque, mutex);
    deque_row<Free>(DEQUE_ONCE, deque, mutex);
    bi::list<int64_t, Plain<int64_t>> list(plain);
    list_rows<Lock>(", a lock each", list, mutex);
    list_rows<Free>(", a lock each (boost: none)", list, mutex);
    bi::list<int64_t, Cached<int64_t>> cached{Cached<int64_t>(manager)};
    list_rows<Lock>(", a lock each (boost: cached nodes too)", cached, mutex);
    list_rows<Free>(", a lock each (boost: cached nodes, no lock)", cached, mutex);
    return found;
}

static uint64_t std_rows()
{
    Mutex mutex;
    std::map<int64_t, int64_t> map;
    std::unordered_map<int64_t, int64_t> table;
    std::vector<int64_t> pushed, appended;
    std::deque<int64_t> deque;
    std::list<int64_t> list;
    block_row(FromHeap{});
    bench_row("alloc + free by two processes at once, by what one does alone", gain(FromHeap{})); // each its own
    node_rows_of("allocator", FromHeap{});
    uint64_t found = map_rows(map, "map") + map_rows(table, "hash map");
    vector_row<Free>(VECTOR_FREE, pushed, mutex);
    append_row(appended);
    double fresh = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        std::vector<int64_t> vector;
        fresh = bench_least(fresh, vector_fill<Free>(vector, mutex));
    }
    bench_row(VECTOR_FRESH, fresh);
    deque_row<Free>(DEQUE_FREE, deque, mutex);
    deque_row<Free>(DEQUE_ONCE, deque, mutex);
    list_rows<Free>(", a lock each (boost: none)", list, mutex);
    return found;
}

int main(int argc, char **argv)
{
    uint64_t found = argc > 1 && std::strcmp(argv[1], "std") == 0 ? std_rows() : boost_rows();
    bench_end();
    return found == 0;
}
