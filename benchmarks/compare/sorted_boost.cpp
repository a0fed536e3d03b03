// sorted_boost.cpp -- the same as sorted_core.c with boost::interprocess::map, which locks nothing and survives no kill.
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/containers/map.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <utility>
#include <vector>

namespace bi = boost::interprocess;
using Pair = std::pair<const int64_t, int64_t>;
using Allocator = bi::allocator<Pair, bi::managed_external_buffer::segment_manager>;
using Map = bi::map<int64_t, int64_t, std::less<int64_t>, Allocator>;

static double now()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) * 1e9 + double(t.tv_nsec);
}

static void say(const char *what, double begun, uint64_t n)
{
    std::printf("%s %.1f\n", what, (now() - begun) / double(n));
}

static uint64_t next(uint64_t &state)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 1000000, state = 88172645463325252u, found = 0;
    std::vector<int64_t> keys(n);
    for (auto &key : keys) {
        key = int64_t(next(state) >> 1);
    }
    size_t size = n * 128 + (1 << 20);
    bi::mapped_region region(bi::anonymous_shared_memory(size));
    bi::managed_external_buffer segment(bi::create_only, region.get_address(), size);
    Map *map = segment.construct<Map>("map")(std::less<int64_t>(), Allocator(segment.get_segment_manager()));
    double begun = now();
    for (uint64_t i = 0; i < n; i++) {
        (*map)[keys[i]] = int64_t(i);
    }
    say("insert", begun, n);
    for (uint64_t i = n - 1; i > 0; i--) {
        std::swap(keys[i], keys[next(state) % (i + 1)]);
    }
    begun = now();
    for (int64_t key : keys) {
        found += uint64_t(map->find(key)->second);
    }
    say("find", begun, n);
    begun = now();
    for (const auto &pair : *map) {
        found += uint64_t(pair.second);
    }
    say("walk", begun, n);
    begun = now();
    for (int64_t key : keys) {
        map->erase(key);
    }
    say("erase", begun, n);
    return found == 0;
}
