#pragma once

#include <stddef.h>
#include <stdint.h>

#define _must_check_ __attribute__((warn_unused_result))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _unused_ __attribute__((unused))

/* The structure whose `member` it is. */
#define container_of(p, type, member) ((type *)((uintptr_t)(p)-offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Hands a resource out of a variable whose cleanup would free it. */
#define steal_ptr(p)                                                                                                   \
    __extension__({                                                                                                    \
        __typeof__(&(p)) _pp = &(p);                                                                                   \
        __typeof__(p) _v = *_pp;                                                                                       \
        *_pp = NULL;                                                                                                   \
        _v;                                                                                                            \
    })
#define steal_fd(fd)                                                                                                   \
    __extension__({                                                                                                    \
        int *_fp = &(fd);                                                                                              \
        int _fv = *_fp;                                                                                                \
        *_fp = -1;                                                                                                     \
        _fv;                                                                                                           \
    })
