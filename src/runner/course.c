#include "runner/course.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

#define NAME_BYTES_MAX 255
/* It says something every five seconds, and an environment may wait for its processors. */
#define SILENCE_S 120
/* Longer than it works at most (SECONDS there): what stands in its place may go on saying something. */
#define LONGEST_S (35 * 60)

/* A name of a folder, which leads nowhere else. */
static int check_name(const char *name, struct error **err)
{
    if (name && *name && *name != '.' && strlen(name) <= NAME_BYTES_MAX && strchr(name, '/') == NULL &&
        text_is_plain(str_from(name), ""))
        return 0;
    return error_set(err, REASON_BAD_REQUEST, "name: the folder of a course is expected");
}

static int check_version(const char *version, struct error **err)
{
    unsigned long long n;

    if (version == NULL || str_to_u64(str_from(version), INT64_MAX, &n) == 0)
        return 0;
    return error_set(err, REASON_BAD_REQUEST, "version: a number is expected");
}

/* The image's own before what a path finds, which may begin in the home; and none of them reads anything there. */
static const char *const pythons[] = {"/usr/bin/python3", "/usr/local/bin/python3", "/opt/conda/bin/python3",
                                      "python3"};

static int run_with(struct runtime *r, const char *instance, const char *python, const char *name, const char *version,
                    struct buffer *out, struct error **err)
{
    _cleanup_free_ char *text = xstrndup(course_programs[0].text.p, course_programs[0].text.n);
    const char *const arguments[] = {python, "-I", "-S", "-c", text, name, version ? version : ""};
    const struct runtime_program p = {.arguments = arguments,
                                      .arguments_len = ARRAY_SIZE(arguments),
                                      .silence_s = SILENCE_S,
                                      .seconds = LONGEST_S,
                                      .stop_fd = -1};

    buffer_clear(out);
    return r->ops->run_inside(r, instance, &p, out, err);
}

static int run_program(struct runtime *r, const char *instance, const char *name, const char *version,
                       struct buffer *out, struct error **err)
{
    for (size_t i = 0; i < ARRAY_SIZE(pythons); i++) {
        struct error *why = NULL;
        if (run_with(r, instance, pythons[i], name, version, out, &why) == 0)
            return 0;
        if (why->reason != REASON_INVALID || i + 1 == ARRAY_SIZE(pythons)) {
            *err = why;
            return -1;
        }
        error_free(why);
    }
    return -1;
}

int course_work(struct runtime *r, const char *instance, const char *name, const char *version, struct buffer *out,
                struct error **err)
{
    if (check_name(name, err) < 0 || check_version(version, err) < 0)
        return -1;
    return run_program(r, instance, name, version, out, err);
}
