/* A bare SQLite loop: bench_sqlite DIRECTORY SECONDS CREATES-PER-TRANSACTION BYTES-OF-JSON prints creates a second. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "bench/bare_sqlite.h"

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench_sqlite DIRECTORY SECONDS CREATES-PER-TRANSACTION BYTES-OF-JSON\n");
        return 2;
    }
    size_t n = strtoul(argv[4], NULL, 10);
    _cleanup_free_ char *json = xmalloc(n + 1);
    memset(json, 'x', n);
    int64_t run_us = (int64_t)(strtod(argv[2], NULL) * 1e6);
    printf("%.1f\n", bare_sqlite_creates(argv[1], run_us, (int)strtol(argv[3], NULL, 10), (struct str){json, n}));
    return 0;
}
