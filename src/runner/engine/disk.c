#include "runner/engine/disk.h"

#include <sys/statvfs.h>

#include "base/alloc.h"

#define SMALL_PART 20
#define FILES 1000

static uint64_t at_most(uint64_t n, uint64_t most)
{
    return n < most ? n : most;
}

/* What is not there yet is made on the disk of its parent, which is asked as well. */
static char *full_at(const char *path, uint64_t minimum)
{
    struct statvfs st;

    if (path == NULL || statvfs(path, &st) < 0 || st.f_blocks == 0)
        return NULL;
    uint64_t wanted = at_most(minimum, (uint64_t)st.f_blocks * st.f_frsize / SMALL_PART);
    uint64_t bytes = (uint64_t)st.f_bavail * st.f_frsize, files = at_most(FILES, st.f_files / SMALL_PART);
    if (bytes < wanted)
        return xasprintf("the disk of %s is full: %.1f MiB free, %.1f MiB wanted before an environment starts "
                         "(minimumFreeDisk); `open-hydra-server usage` says who has how much",
                         path, (double)bytes / 1048576, (double)wanted / 1048576);
    if (st.f_favail < files)
        return xasprintf("the disk of %s is full: %llu more files can be made, %llu are wanted before an environment "
                         "starts; `open-hydra-server usage` says who has how many",
                         path, (unsigned long long)st.f_favail, (unsigned long long)files);
    return NULL;
}

char *disk_full(const struct config *c)
{
    const char *const paths[] = {c->data, c->workspace_path, c->jupyter_lab_base, c->vscode_base};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        char *why = full_at(paths[i], c->minimum_free_mib << 20);
        if (why)
            return why;
    }
    return NULL;
}
