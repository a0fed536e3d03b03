#include "pools.h"

#include <boost/interprocess/allocators/adaptive_pool.hpp>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/allocators/cached_adaptive_pool.hpp>
#include <boost/interprocess/allocators/cached_node_allocator.hpp>
#include <boost/interprocess/allocators/node_allocator.hpp>
#include <boost/interprocess/allocators/private_adaptive_pool.hpp>
#include <boost/interprocess/allocators/private_node_allocator.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <chrono>
#include <string>
#include <unistd.h>
#include <vector>

namespace bip = boost::interprocess;

namespace {

struct node {
    uint64_t words[4];
};

using manager = bip::managed_shared_memory::segment_manager;

template <class Allocator> typename Allocator::pointer take(Allocator &a)
{
    return a.allocate_one();
}

template <class Allocator> void give(Allocator &a, const typename Allocator::pointer &p)
{
    a.deallocate_one(p);
}

/* A random node back and another one. */
template <class Allocator> struct replace {
    static double run(Allocator &allocator, uint64_t pairs)
    {
        std::vector<typename Allocator::pointer> nodes;
        for (unsigned i = 0; i < MPS_BENCH_NODES; i++) {
            nodes.push_back(take(allocator));
        }
        uint64_t random = 88172645463325252u;
        auto start = std::chrono::steady_clock::now();
        for (uint64_t i = 0; i < pairs; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            auto &p = nodes[(random >> 32) * MPS_BENCH_NODES >> 32];
            give(allocator, p);
            p = take(allocator);
        }
        std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
        for (auto &p : nodes) {
            give(allocator, p);
        }
        return spent.count() / static_cast<double>(pairs);
    }
};

/* All, and all back. */
template <class Allocator> struct fill {
    static double run(Allocator &allocator, uint64_t pairs)
    {
        std::vector<typename Allocator::pointer> nodes(MPS_BENCH_NODES);
        uint64_t rounds = pairs / MPS_BENCH_NODES;
        auto start = std::chrono::steady_clock::now();
        for (uint64_t round = 0; round < rounds; round++) {
            for (auto &p : nodes) {
                p = take(allocator);
            }
            for (auto &p : nodes) {
                give(allocator, p);
            }
        }
        std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
        return spent.count() / static_cast<double>(rounds * MPS_BENCH_NODES);
    }
};

template <class Allocator, template <class> class Way> double run(uint64_t pairs)
{
    const std::string name = "mpshm-bench-" + std::to_string(::getpid());
    bip::shared_memory_object::remove(name.c_str());
    double each = 0;
    {
        bip::managed_shared_memory segment(bip::create_only, name.c_str(), 64u << 20);
        Allocator allocator(segment.get_segment_manager());
        each = Way<Allocator>::run(allocator, pairs);
    }
    bip::shared_memory_object::remove(name.c_str());
    return each;
}

template <template <class> class Way> double run_one(enum mps_bench_pool which, uint64_t pairs)
{
    switch (which) {
    case MPS_BENCH_PLAIN: return run<bip::allocator<node, manager>, Way>(pairs);
    case MPS_BENCH_NODE: return run<bip::node_allocator<node, manager>, Way>(pairs);
    case MPS_BENCH_PRIVATE_NODE: return run<bip::private_node_allocator<node, manager>, Way>(pairs);
    case MPS_BENCH_CACHED_NODE: return run<bip::cached_node_allocator<node, manager>, Way>(pairs);
    case MPS_BENCH_ADAPTIVE: return run<bip::adaptive_pool<node, manager>, Way>(pairs);
    case MPS_BENCH_PRIVATE_ADAPTIVE: return run<bip::private_adaptive_pool<node, manager>, Way>(pairs);
    case MPS_BENCH_CACHED_ADAPTIVE: return run<bip::cached_adaptive_pool<node, manager>, Way>(pairs);
    default: return 0;
    }
}

} // namespace

extern "C" double mps_bench_pool_boost(enum mps_bench_pool which, uint64_t pairs)
{
    return run_one<replace>(which, pairs);
}

extern "C" double mps_bench_pool_boost_fill(enum mps_bench_pool which, uint64_t pairs)
{
    return run_one<fill>(which, pairs);
}
