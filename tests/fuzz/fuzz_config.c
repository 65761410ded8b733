/* A configuration file: read, checked, and every value within its bounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "fuzz/fuzz.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[32];
    struct error *err = NULL;

    if (fd < 0) {
        log_set_level(LOG_ERROR);
        fd = memfd_create("config", 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    const struct config_flags flags = {.file = path};
    struct config *c = config_load(&flags, &err);
    if ((c == NULL) == (err == NULL))
        abort();
    if (c && (c->default_ram_mib < 64 || (c->pids_limit && c->pids_limit < 256) || c->hosts == NULL ||
              c->hosts[0] == NULL || c->dashboard.first == 0 || c->host_id_base % 65536))
        abort();
    config_free(c);
    error_free(err);
}
