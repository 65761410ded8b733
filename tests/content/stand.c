/*
 * Unpacking and exchanging for tests/content, one call a run; the answer is one line of JSON.
 *
 *     content-stand unpack PROGRAM ARCHIVE NAME FOLDER BYTES ENTRIES DEPTH RATIO SILENT STOP   (STOP: ends it at so
 * many bytes)
 *     content-stand stage BASE ID | publish BASE ID NAME VERSION KEEP | back BASE NAME VERSION | remove BASE NAME
 *     content-stand recover BASE [WANTED] | sweep BASE [ENTRIES] | versions BASE NAME
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/str.h"
#include "server/content/exchange.h"
#include "server/content/trash.h"
#include "server/content/unpack.h"

static int answer(int rc, struct error *err, uint64_t bytes, uint64_t files)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(65536);

    buffer_printf(&b, "{\"ok\":%s,\"bytes\":%" PRIu64 ",\"files\":%" PRIu64, rc < 0 ? "false" : "true", bytes, files);
    if (rc < 0) {
        buffer_printf(&b, ",\"reason\":\"%s\",\"message\":", reason_name(err->reason));
        buffer_json_string(&b, str_from(err->message));
    }
    buffer_puts(&b, "}");
    puts(buffer_str(&b).p);
    error_free(err);
    return rc < 0;
}

static uint64_t number(const char *s)
{
    return strtoull(s, NULL, 10);
}

static int stop_at(void *arg, uint64_t bytes, uint64_t files)
{
    const uint64_t *stop = arg;

    return *stop && bytes >= *stop ? -1 : 0;
}

static int run_unpack(char **a)
{
    struct error *err = NULL;
    struct unpack_result result = {0};
    const struct unpack_limits limits = {number(a[4]), (uint32_t)number(a[5]), (uint32_t)number(a[6]),
                                         (uint32_t)number(a[7]), (uint32_t)number(a[8])};
    uint64_t stop = number(a[9]);
    int archive = open(a[1], O_RDONLY | O_CLOEXEC), folder = open(a[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (archive < 0 || folder < 0)
        return 2;
    int rc = unpack_prepare(a[0], &err);
    if (rc == 0)
        rc = unpack(archive, a[2], folder, &limits, stop_at, &stop, &result, &err);
    return answer(rc, err, result.bytes, result.files);
}

static bool count_down(void *arg)
{
    uint64_t *left = arg;

    return (*left)-- > 0;
}

static bool is_wanted(void *arg, const char *id)
{
    return streq(arg, id);
}

static int print_versions(const struct shelf *s, const char *name)
{
    uint64_t kept[16], present;
    size_t n = exchange_versions(s, name, kept, 16, &present);

    printf("{\"present\":%" PRIu64 ",\"foreign\":%s,\"kept\":[", present,
           exchange_is_foreign(s, name) ? "true" : "false");
    for (size_t i = 0; i < n; i++)
        printf("%s%" PRIu64, i ? "," : "", kept[i]);
    puts("]}");
    return 0;
}

static int on_shelf(const struct shelf *s, const char *verb, char **a, int n, struct error **err)
{
    uint64_t left = n > 0 ? number(a[0]) : 0;

    if (streq(verb, "stage")) {
        int fd = exchange_stage(s, a[0], err);
        return fd < 0 ? -1 : close(fd);
    }
    if (streq(verb, "publish"))
        return exchange_publish(s, a[0], a[1], number(a[2]), (unsigned)number(a[3]), err);
    if (streq(verb, "back"))
        return exchange_roll_back(s, a[0], number(a[1]), err);
    if (streq(verb, "remove"))
        return exchange_remove(s, a[0], err);
    if (streq(verb, "recover"))
        return exchange_recover(s, n > 0 ? is_wanted : NULL, n > 0 ? a[0] : NULL, err);
    return trash_sweep(s, n > 0 ? count_down : NULL, &left, err);
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    struct shelf shelf;

    if (argc == 12 && streq(argv[1], "unpack"))
        return run_unpack(argv + 2);
    if (argc < 3)
        return 2;
    if (shelf_open(&shelf, argv[2], &err) < 0)
        return answer(-1, err, 0, 0);
    if (streq(argv[1], "versions"))
        return print_versions(&shelf, argv[3]);
    int rc = on_shelf(&shelf, argv[1], argv + 3, argc - 3, &err);
    shelf_close(&shelf);
    return answer(rc, err, 0, 0);
}
