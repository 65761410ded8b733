/* Archives: the first byte says whether it is sent as one or as a file, the rest is it. Whatever comes, no more is
 * written than may be, and there is nothing but files and folders. Without the child's seal, which would hold the
 * fuzzer too. */
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "server/content/exchange.h"
#include "server/content/trash.h"
#include "unpack/job.h"

static const struct unpack_limits limits = {.bytes = 1 << 20, .entries = 64, .depth = 8};
static struct shelf shelf;
static struct names names;
static const char *base; /* a folder of the run's, which is removed after it */
static uint64_t found;

static int tell(void *arg, uint64_t bytes, uint64_t files, struct error **err)
{
    return 0;
}

static void start(void)
{
    if ((base = getenv("FUZZ_FOLDER")) == NULL || shelf_open(&shelf, base, NULL) < 0 || names_open(&names, NULL) < 0 ||
        setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        abort();
}

static int look(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    if ((!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) || (st->st_mode & 07022) || at->level > 8)
        abort();
    found += S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    return 0;
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct budget budget = {.limits = &limits, .tell = tell};
    struct error *err = NULL;
    char staged[PATH_MAX];

    if (size == 0)
        return;
    if (shelf.base == 0)
        start();
    int archive = memfd_create("archive", MFD_CLOEXEC), folder = exchange_stage(&shelf, "x", NULL);
    if (archive < 0 || folder < 0 || write(archive, data + 1, size - 1) < 0)
        abort();
    int rc = job_run(archive, data[0] & 1 ? "a.tar" : "a.csv", folder, &names, &budget, &err);
    snprintf(staged, sizeof(staged), "%s/.open-hydra/new/x", base);
    found = 0;
    if ((rc < 0) != (err != NULL) || nftw(staged, look, 8, FTW_PHYS) != 0 || found > limits.bytes ||
        found != budget.bytes)
        abort();
    error_free(err);
    close(archive);
    close(folder);
    if (trash_sweep(&shelf, NULL, NULL, NULL) < 0)
        abort();
}
