/*
 * An input that takes long for its length is as wrong as one that crashes: whoever sends it stops everybody else. The
 * bound is far above what anything linear takes (some 100 ns a byte with the sanitizers), and far below what one
 * quadratic step over the larger inputs of the corpus does. CPU time of this thread: a busy machine changes nothing.
 */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BASE_NS 100000000ULL
#define NS_PER_BYTE 2000ULL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t began = cpu_ns();

    fuzz_one(data, size);
    uint64_t took = cpu_ns() - began, allowed = BASE_NS + NS_PER_BYTE * size;
    if (took > allowed) {
        fprintf(stderr, "slow: %zu bytes took %llu ms, at most %llu are allowed\n", size,
                (unsigned long long)took / 1000000, (unsigned long long)allowed / 1000000);
        abort();
    }
    return 0;
}
