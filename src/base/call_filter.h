#pragma once

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

/*
 * What filters of system calls are written with (seccomp; instructions of classic BPF). Where this kind of processor has
 * no CALL_FILTER_ARCHITECTURE there can be no filter.
 */
#if defined(__x86_64__)
#define CALL_FILTER_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CALL_FILTER_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define CALL_FILTER_LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define CALL_FILTER_ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)
#define CALL_FILTER_ALLOW CALL_FILTER_ANSWER(SECCOMP_RET_ALLOW)
#define CALL_FILTER_REFUSE(number) CALL_FILTER_ANSWER(SECCOMP_RET_ERRNO | (number))
/* Goes over the next `skip` where what was loaded is not equal; where it is; where none of the bits is set. */
#define CALL_FILTER_UNLESS_EQUAL(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define CALL_FILTER_IF_EQUAL(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, skip, 0)
#define CALL_FILTER_UNLESS_SET(bits, skip) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, skip)

/* How each begins: calls of this processor alone, by their numbers, which are loaded. */
#define CALL_FILTER_HEAD                                                                                               \
    CALL_FILTER_LOAD(arch), CALL_FILTER_IF_EQUAL(CALL_FILTER_ARCHITECTURE, 1), CALL_FILTER_REFUSE(EPERM),              \
        CALL_FILTER_LOAD(nr)
#define CALL_FILTER_HEAD_LEN 4
