/* What engines say while they pull, as heard from Docker 20.10 and Podman 4.3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "runner/engine/image.h"
#include "runner/engine/pull_stream.h"

static void take(struct pull_stream *s, const char *lines)
{
    struct str rest = str_from(lines), line;

    while (str_split(&rest, '\n', &line))
        pull_stream_take(s, line);
}

static void progress_is(const struct pull_stream *s, unsigned layers, unsigned done, uint64_t bytes, uint64_t total)
{
    struct runtime_progress p;

    pull_stream_progress(s, &p);
    assert_int_equal(p.layers, layers);
    assert_int_equal(p.layers_done, done);
    assert_int_equal(p.bytes, bytes);
    assert_int_equal(p.bytes_total, total);
}

static void test_docker(void **state)
{
    struct pull_stream s = {0};

    take(&s, "{\"status\":\"Pulling from library/x\",\"id\":\"1\"}\r\n"
             "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"aa\"}\r\n"
             "{\"status\":\"Already exists\",\"progressDetail\":{},\"id\":\"cc\"}\r\n"
             "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"bb\"}\r\n");
    progress_is(&s, 3, 1, 0, 0);
    take(&s,
         "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":100,\"total\":400},\"progress\":\"[=> ]\",\"id\":"
         "\"aa\"}\r\n{\"status\":\"Downloading\",\"progressDetail\":{\"current\":50,\"total\":600},\"id\":\"bb\"}\r\n");
    progress_is(&s, 3, 1, 150, 1000);
    take(&s, "{\"status\":\"Verifying Checksum\",\"progressDetail\":{},\"id\":\"aa\"}\r\n"
             "{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"aa\"}\r\n");
    progress_is(&s, 3, 2, 450, 1000);
    take(&s, "{\"status\":\"Extracting\",\"progressDetail\":{\"current\":7,\"total\":4},\"id\":\"aa\"}\r\n");
    progress_is(&s, 3, 1, 450, 1000);
    take(&s, "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"aa\"}\r\n"
             "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"bb\"}\r\n"
             "{\"status\":\"Digest: sha256:00\"}\r\n{\"status\":\"Status: Downloaded newer image for x:1\"}\r\n");
    progress_is(&s, 3, 3, 1000, 1000);
    assert_null(s.failed);
}

static void test_podman(void **state)
{
    struct pull_stream s = {0};

    take(&s, "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"aabb\"}\n"
             "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":10,\"total\":-1},\"id\":\"aabb\"}\n"
             "{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"aabb\"}\n"
             "{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"the image itself\"}\n");
    progress_is(&s, 1, 1, 0, 0);
}

static void test_failures(void **state)
{
    struct pull_stream s = {0};

    take(&s,
         "{\"error\":\"manifest unknown:\\u001b[31m no\\nsuch\",\"errorDetail\":{\"message\":\"manifest unknown\"}}\n"
         "{\"error\":\"context canceled\"}\n");
    assert_string_equal(s.failed, "manifest unknown:?[31m no such");
    free(s.failed);
    s = (struct pull_stream){0};
    take(&s, "{\"errorDetail\":{\"message\":\"denied\"}}\n");
    assert_string_equal(s.failed, "denied");
    free(s.failed);
}

/* Numbers that are none, lines that are none, more layers than there can be. */
static void test_nonsense(void **state)
{
    struct pull_stream *s = xcalloc(1, sizeof(*s));
    struct runtime_progress p;

    take(
        s,
        "\n[]\n1\n{\"status\":1,\"id\":2}\n{\"status\":\"Downloading\"}\nnonsense\n"
        "{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":-5,\"total\":18446744073709551615}}\n"
        "{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":[1,2]}\n"
        "{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":1e300,\"total\":\"9\"}}\n");
    progress_is(s, 1, 0, 0, UINT64_C(1) << 50);
    for (unsigned i = 0; i < 2 * PULL_LAYERS_MAX; i++) {
        _cleanup_arena_ struct arena *a = arena_new();
        take(s, arena_printf(a, "{\"status\":\"Waiting\",\"id\":\"%u\"}", i));
    }
    pull_stream_progress(s, &p);
    assert_int_equal(p.layers, PULL_LAYERS_MAX);
    free(s);
}

static void test_ids(void **state)
{
    _cleanup_free_ char *podman = engine_image_id("ab"), *docker = engine_image_id("sha256:ab");

    assert_string_equal(podman, "sha256:ab");
    assert_string_equal(docker, "sha256:ab");
    assert_null(engine_image_id(""));
    assert_null(engine_image_id(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_docker),   cmocka_unit_test(test_podman), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_nonsense), cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
