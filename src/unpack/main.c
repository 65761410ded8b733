/* open-hydra-unpack: see wire.h. The server starts it for one archive; nobody else has a use for it. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "base/text.h"
#include "unpack/job.h"
#include "unpack/sealed.h"
#include "unpack/wire.h"

enum argument { PARENT = 1, NAME, BYTES, ENTRIES, DEPTH, RATIO, ARGUMENTS };

static int say(const struct unpack_record *r)
{
    return write(UNPACK_RECORDS, r, sizeof(*r)) == (ssize_t)sizeof(*r) ? 0 : -1;
}

/* Nobody listens any more: then nobody wants it. */
static int tell(void *arg, uint64_t bytes, uint64_t files, struct error **err)
{
    const struct unpack_record r = {.kind = UNPACK_PROGRESS, .bytes = bytes, .files = files};

    return say(&r) < 0 ? error_set(err, REASON_CONFLICT, "nobody wants it any more") : 0;
}

static int say_end(int rc, const struct budget *b, struct error *err)
{
    struct unpack_record r = {.kind = rc < 0 ? UNPACK_FAILED : UNPACK_DONE, .bytes = b->bytes, .files = b->files};

    if (rc < 0) {
        r.reason = err->reason;
        snprintf(r.message, sizeof(r.message), "%s", err->message);
        r.message[text_clean(r.message, strlen(r.message), "")] = '\0';
    }
    return say(&r) < 0 || rc < 0;
}

static unsigned long long number(const char *s)
{
    unsigned long long n = 0;

    return str_to_u64(str_from(s), UINT64_MAX, &n) < 0 ? 0 : n;
}

static int unpack_sealed(char **argv, const struct unpack_limits *limits, struct budget *b, struct error **err)
{
    struct names names;

    if (sealed_begin((int)number(argv[PARENT]), limits, err) < 0 || names_open(&names, err) < 0)
        return -1;
    /* Else the C library looks for one with each time in a zip, where it may not. */
    setenv("TZ", "UTC0", 1);
    tzset();
    /* Names of other encodings become UTF-8 by it. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        return error_set(err, REASON_INTERNAL, "the locale C.UTF-8 is missing");
    if (sealed_finish(UNPACK_FOLDER, err) < 0)
        return -1;
    return job_run(UNPACK_ARCHIVE, argv[NAME], UNPACK_FOLDER, &names, b, err);
}

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);

/* In place of the limit of the address space: what is asked for at once is none larger. */
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=640:allocator_may_return_null=1";
}
#endif

int main(int argc, char **argv)
{
    struct error *err = NULL;

    if (argc != ARGUMENTS) {
        fputs("open-hydra-unpack is started by open-hydra-server alone\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    const struct unpack_limits limits = {
        .bytes = number(argv[BYTES]),
        .entries = (uint32_t)number(argv[ENTRIES]),
        .depth = (uint32_t)number(argv[DEPTH]),
        .ratio = (uint32_t)number(argv[RATIO]),
    };
    struct budget b = {.limits = &limits, .tell = tell};
    int rc = unpack_sealed(argv, &limits, &b, &err);
    /* All else would ask for what is no longer there. */
    _exit(say_end(rc, &b, err));
}
