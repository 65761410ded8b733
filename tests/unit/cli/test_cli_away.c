/* What is answered in the place of a server that cannot start. */
#include "cli/away.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"

struct stand {
    char base[40];
    char *paths[2];
    int listeners[2], stop[2];
    const char *reason;
    int64_t until;
    pthread_t thread;
};

static void *body(void *arg)
{
    struct stand *s = arg;
    away_answer(s->listeners, 2, s->reason, s->stop[0], s->until);
    return NULL;
}

static void begin(struct stand *s, const char *reason, int64_t for_us)
{
    strcpy(s->base, "/tmp/open-hydra-away-XXXXXX");
    assert_non_null(mkdtemp(s->base));
    for (int i = 0; i < 2; i++) {
        s->paths[i] = xasprintf("%s/%d", s->base, i);
        s->listeners[i] = listen_unix(s->paths[i], 0600, NULL);
        assert_true(s->listeners[i] >= 0);
    }
    assert_int_equal(pipe(s->stop), 0);
    s->reason = reason;
    s->until = clock_monotonic_us() + for_us;
    assert_int_equal(pthread_create(&s->thread, NULL, body, s), 0);
}

static void end(struct stand *s)
{
    if (s->stop[1] >= 0)
        close(s->stop[1]);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    for (int i = 0; i < 2; i++) {
        close(s->listeners[i]);
        unlink(s->paths[i]);
        free(s->paths[i]);
    }
    rmdir(s->base);
}

static int dial(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* All that is answered to a request with a body of that size. */
static char *ask(const char *path, size_t size)
{
    _cleanup_close_ int fd = dial(path);
    _cleanup_free_ char *request = xasprintf("POST /x HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", size),
                        *content = xcalloc(1, size + 1);
    char *answer = xcalloc(1, 65536);
    size_t n = 0;
    ssize_t got;

    assert_int_equal(write_all(fd, request, strlen(request), NULL), 0);
    assert_int_equal(write_all(fd, content, size, NULL), 0);
    while ((got = read(fd, answer + n, 65535 - n)) > 0)
        n += (size_t)got;
    assert_int_equal(got, 0);
    return answer;
}

static void assert_answer(const char *answer, const char *message)
{
    const char *content = strstr(answer, "\r\n\r\n");

    assert_true(strncmp(answer, "HTTP/1.1 503 Service Unavailable\r\n", 34) == 0);
    assert_null(strstr(answer, "Retry-After"));
    assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(answer, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(content);
    _cleanup_free_ char *length = xasprintf("\r\nContent-Length: %zu\r\n", strlen(content + 4));
    assert_non_null(strstr(answer, length));
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(content + 4), NULL);
    assert_non_null(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_str_at(root, "kind"), "Status");
    assert_string_equal(json_str_at(root, "reason"), "ServiceUnavailable");
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "code")), 503);
    assert_string_equal(json_str_at(root, "message"), message);
}

static void everybody_is_told_why(void **state)
{
    static const size_t sizes[] = {0, 100, 100000, 3 << 20};
    struct stand s = {0};

    begin(&s, "the \"database\" is\ndamaged", 600 * INT64_C(1000000));
    for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
        _cleanup_free_ char *answer = ask(s.paths[i % 2], sizes[i / 2]);
        assert_answer(answer, "the server cannot start: the \"database\" is\ndamaged; it is tried again");
    }
    end(&s);
}

/* One that says nothing, or goes, is in nobody's way for long. */
static void a_silent_one(void **state)
{
    struct stand s = {0};

    begin(&s, "why", 600 * INT64_C(1000000));
    _cleanup_close_ int silent = dial(s.paths[0]);
    close(dial(s.paths[0]));
    _cleanup_free_ char *answer = ask(s.paths[0], 0);
    assert_answer(answer, "the server cannot start: why; it is tried again");
    char end_of_it;
    assert_int_equal(read(silent, &end_of_it, 1), 0);
    end(&s);
}

static void until_its_time(void **state)
{
    struct stand s = {0};

    begin(&s, "why", 100000);
    pthread_join(s.thread, NULL);
    assert_true(clock_monotonic_us() >= s.until);
    assert_int_equal(pthread_create(&s.thread, NULL, body, &s), 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_is_told_why),
        cmocka_unit_test(a_silent_one),
        cmocka_unit_test(until_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
