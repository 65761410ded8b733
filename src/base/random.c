#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/encoding.h"

void random_bytes(void *out, size_t n)
{
    unsigned char *p = out;

    while (n) {
        ssize_t got = getrandom(p, n > 256 ? 256 : n, 0);
        /* A signal may come before the kernel's pool is ready, early in the machine's life. */
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        p += got;
        n -= (size_t)got;
    }
}

/* Sixteen at a time: a system call costs more than the rest of a uuid. These are names, and no secrets. */
static _Thread_local struct {
    unsigned char bytes[256];
    size_t left;
} names;

/* A child would give the names that its parent gives. */
static void forget_names(void)
{
    names.left = 0;
}

static void forget_in_children(void)
{
    pthread_atfork(NULL, NULL, forget_names);
}

static void take_name(unsigned char out[static 16])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (names.left == 0) {
        pthread_once(&once, forget_in_children);
        random_bytes(names.bytes, sizeof(names.bytes));
        names.left = sizeof(names.bytes);
    }
    names.left -= 16;
    memcpy(out, names.bytes + names.left, 16);
}

void random_uuid(char out[static UUID_SIZE])
{
    unsigned char b[16];

    take_name(b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(b); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = "0123456789abcdef"[b[i] >> 4];
        *out++ = "0123456789abcdef"[b[i] & 15];
    }
    *out = '\0';
}

char *random_token(size_t n)
{
    _cleanup_free_ unsigned char *raw = xmalloc(n);
    random_bytes(raw, n);
    return base64url_encode(raw, n);
}
