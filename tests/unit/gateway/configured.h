#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

/* A configuration from a file's text, as at a start. */
static inline struct config *configured(const char *yaml)
{
    char path[] = "/tmp/open-hydra-test-XXXXXX";
    struct error *err = NULL;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
    close(fd);
    const struct config_flags flags = {.file = path, .data = "/tmp/data", .web = "/tmp/web", .runtime = "/tmp/run"};
    struct config *c = config_load(&flags, &err);
    if (c == NULL)
        fail_msg("%s", err->message);
    unlink(path);
    return c;
}

#define LOOPBACK "environmentListen: 127.0.0.1:31000-31099\n"
#define SCHOOL                                                                                                         \
    "serverIP: School.example\ndashboardListen: 0.0.0.0:30001\nenvironmentListen: 0.0.0.0:31000-31099\n"               \
    "apiListen: 0.0.0.0:30443\n"
