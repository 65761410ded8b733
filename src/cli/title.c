#include "cli/title.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

static struct {
    char *p;
    size_t size;
} room;
static char **variables; /* ours, whatever setenv() makes of it */

/* The kernel puts arguments and variables one after the other, and shows what is there (proc(5), cmdline). */
void title_take(int argc, char **argv)
{
    char *end = argc ? argv[0] : NULL;
    size_t n = 0;

    for (int i = 0; i < argc && argv[i] == end; i++)
        end += strlen(end) + 1;
    while (environ[n])
        n++;
    char **copy = xcalloc(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        if (environ[i] == end)
            end += strlen(end) + 1;
        copy[i] = xstrdup(environ[i]);
    }
    environ = variables = copy;
    room.p = argc ? argv[0] : NULL;
    room.size = room.p ? (size_t)(end - room.p) : 0;
}

void title_set(const char *part)
{
    if (room.size == 0)
        return;
    int n = snprintf(room.p, room.size, "open-hydra-server: %s", part);
    size_t used = n > 0 && (size_t)n < room.size ? (size_t)n : room.size - 1;
    memset(room.p + used, 0, room.size - used);
}
