#include "runner/relay/listening.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

/* Who listens stands before all connections, so that what is cut off is nobody's port but that of who has thousands. */
#define TEXT_MAX (256u << 10)
#define STATE_LISTEN "0A"

/* Each 32 bits as this processor keeps them: little-endian on all that we run on. */
#define V4_ANY "00000000"
#define V4_LOOPBACK "0100007F"
#define V6_ANY "00000000000000000000000000000000"
#define V6_LOOPBACK "00000000000000000000000001000000"
#define V6_MAPPED "0000000000000000FFFF0000"

static bool is_v4(struct str address)
{
    return str_is(address, V4_ANY) || str_is(address, V4_LOOPBACK) || str_is(address, V6_MAPPED V4_ANY) ||
           str_is(address, V6_MAPPED V4_LOOPBACK);
}

/* «::» may stand for both, or for IPv6 alone: by ::1 it is reached all the same. */
static bool is_v6(struct str address)
{
    return str_is(address, V6_ANY) || str_is(address, V6_LOOPBACK);
}

/* From here on; the line goes on behind it. */
static bool second_word(struct str *line, struct str *word)
{
    struct str first;

    return str_split(line, ' ', &first) && str_split(line, ' ', word);
}

/* «   0: 00000000:22B8 00000000:0000 0A …»: the address that listens on the port; empty: none. */
static struct str listener(struct str line, const char *port)
{
    struct str word, address;

    line = str_trim(line);
    if (!second_word(&line, &word) || !str_split(&word, ':', &address) || !str_is(word, port))
        return (struct str){0};
    if (!second_word(&line, &word) || !str_is(word, STATE_LISTEN))
        return (struct str){0};
    return address;
}

static bool holds(struct str text, const char *port, bool (*is)(struct str address))
{
    struct str line;

    while (str_split(&text, '\n', &line))
        if (is(listener(line, port)))
            return true;
    return false;
}

enum listening listening_in(struct str tcp, struct str tcp6, uint16_t port)
{
    char hex[5];

    snprintf(hex, sizeof(hex), "%04X", port);
    if (holds(tcp, hex, is_v4) || holds(tcp6, hex, is_v4))
        return LISTENING_V4;
    return holds(tcp6, hex, is_v6) ? LISTENING_V6 : LISTENING_NOT;
}

/* The first part of it, where it is longer. NULL: it cannot be read. */
static char *read_start(pid_t pid, const char *name, size_t *n)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/net/%s", (int)pid, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd < 0 ? NULL : xmalloc(TEXT_MAX);
    ssize_t got = 1;

    for (*n = 0; text && *n < TEXT_MAX && got > 0; *n += got > 0 ? (size_t)got : 0)
        got = read(fd, text + *n, TEXT_MAX - *n);
    return text;
}

enum listening listening_on(pid_t pid, uint16_t port)
{
    size_t n, n6;
    _cleanup_free_ char *tcp = read_start(pid, "tcp", &n), *tcp6 = read_start(pid, "tcp6", &n6);

    if (tcp == NULL)
        return LISTENING_UNKNOWN;
    enum listening found = listening_in((struct str){tcp, n}, (struct str){tcp6, n6}, port);
    return found == LISTENING_NOT && (n == TEXT_MAX || n6 == TEXT_MAX) ? LISTENING_UNKNOWN : found;
}
