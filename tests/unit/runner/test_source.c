/* What may be fetched: whatever the server says, nothing that the configuration does not name. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/text.h"
#include "runner/source/process.h"
#include "runner/source/wanted.h"

static char folder[] = "/tmp/source-XXXXXX";
static char *allowed[] = {folder, (char *)(uintptr_t) "https://a.example/one/",
                          (char *)(uintptr_t) "https://a.example/one/two", NULL};
static const struct config config = {.content_sources = allowed};

static int check(struct wanted w)
{
    return wanted_check(&config, &w, NULL);
}

static void addresses(void **state)
{
    static const char *const good[] = {"https://a.example/one", "https://a.example/one/x.zip",
                                       "https://a.example/one/x?y=1&z=2"};
    static const char *const bad[] = {NULL,
                                      "",
                                      "https://",
                                      "https://a.example",
                                      "https://a.example/",
                                      "https://a.example/onex",
                                      "https://a.example/one/../two",
                                      "https://a.example/one/./x",
                                      "https://a.example/one/%2e%2e/x",
                                      "https://a.example:443/one/x",
                                      "https://u@a.example/one/x",
                                      "https://a.example@evil/one/x",
                                      "http://a.example/one/x",
                                      "HTTPS://a.example/one/x",
                                      "file:///etc/passwd",
                                      "ext::sh",
                                      "-x",
                                      "https://a.example/one/x y",
                                      "https://a.example/one/x\ny",
                                      "https://a.example\\@evil/one/x",
                                      "https://a.example/one/x#y",
                                      "https://b.example/one/x"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (check((struct wanted){.type = SOURCE_ARCHIVE, .url = good[i]}) < 0 ||
            check((struct wanted){.type = SOURCE_GIT, .url = good[i]}) < 0)
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (check((struct wanted){.type = SOURCE_ARCHIVE, .url = bad[i]}) == 0 ||
            check((struct wanted){.type = SOURCE_GIT, .url = bad[i]}) == 0)
            fail_msg("%s", bad[i] ? bad[i] : "none");
}

static void references(void **state)
{
    static const char *const good[] = {NULL, "main", "v1.0", "next/one", "a_b-c+d"},
                             *const bad[] = {"",   "-x", "--upload-pack=x", "a..b", "a b", "a:b", "a~1", "a^", ".a",
                                             "/a", "a\n"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(check((struct wanted){.type = SOURCE_GIT, .url = "https://a.example/one/x", .ref = good[i]}),
                         0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (check((struct wanted){.type = SOURCE_GIT, .url = "https://a.example/one/x", .ref = bad[i]}) == 0)
            fail_msg("%s", bad[i]);
}

static int open_below(const char *path)
{
    const struct wanted w = {.type = SOURCE_FOLDER, .path = path};

    return wanted_check(&config, &w, NULL) < 0 ? -2 : wanted_open_folder(&config, &w, NULL);
}

static void folders(void **state)
{
    _cleanup_free_ char *inside = xasprintf("%s/a", folder), *deep = xasprintf("%s/a/b", folder),
                        *link = xasprintf("%s/link", folder), *through = xasprintf("%s/link/b", folder),
                        *up = xasprintf("%s/a/../..", folder), *beside = xasprintf("%sx", folder),
                        *file = xasprintf("%s/a/file", folder), *nowhere = xasprintf("%s/no", folder);
    const char *const good[] = {folder, inside, deep}, *const closed[] = {link, through, file, nowhere},
                      *const refused[] = {up, beside, "/", "/etc", "a", NULL};

    assert_true(mkdir(inside, 0755) == 0 && mkdir(deep, 0755) == 0 && symlink("a", link) == 0);
    assert_int_equal(write_file_atomic(file, STR("x"), 0644, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_close_ int fd = open_below(good[i]);
        assert_true(fd >= 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
        assert_int_equal(open_below(closed[i]), -1);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        assert_int_equal(open_below(refused[i]), -2);
    assert_true(unlink(file) == 0 && unlink(link) == 0 && rmdir(deep) == 0 && rmdir(inside) == 0);
}

/* However the configuration writes it. */
static void a_slash_at_the_end_of_a_folder(void **state)
{
    _cleanup_free_ char *with_slash = xasprintf("%s/", folder), *inside = xasprintf("%s/a", folder);
    char *sources[] = {with_slash, NULL};
    const struct config c = {.content_sources = sources};
    const char *const paths[] = {folder, with_slash, inside};

    assert_int_equal(mkdir(inside, 0755), 0);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        const struct wanted w = {.type = SOURCE_FOLDER, .path = paths[i]};
        struct stat opened, named;
        _cleanup_close_ int fd = wanted_open_folder(&c, &w, NULL);
        assert_true(fd >= 0 && fstat(fd, &opened) == 0 && stat(paths[i], &named) == 0);
        assert_int_equal(opened.st_ino, named.st_ino);
    }
    assert_int_equal(rmdir(inside), 0);
}

/* What lies below a folder that is closed to everybody is not read by way of root's rights. */
static void closed_folders_stay_closed(void **state)
{
    _cleanup_free_ char *closed = xasprintf("%s/closed", folder), *below = xasprintf("%s/closed/open", folder);

    if (geteuid() != 0)
        skip();
    assert_true(mkdir(closed, 0700) == 0 && mkdir(below, 0755) == 0);
    assert_int_equal(open_below(below), -1);
    assert_int_equal(chmod(closed, 0711), 0);
    _cleanup_close_ int fd = open_below(below);
    assert_true(fd >= 0);
    assert_true(rmdir(below) == 0 && rmdir(closed) == 0);
}

static void what_an_object_asks_for(void **state)
{
    static const char text[] =
        "{\"spec\":{\"source\":{\"type\":\"Archive\",\"archive\":{\"url\":\"https://a.example/one/x.zip?y\",\"sha256\":\"00\"},\"again\":\"2\"}}}";
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(text), NULL),
                              *other = json_parse(STR("{\"spec\":{\"source\":{\"type\":\"Else\"}}}"), NULL);
    _cleanup_arena_ struct arena *a = arena_new();
    struct wanted w;

    wanted_read(a, yyjson_doc_get_root(doc), &w);
    assert_true(w.type == SOURCE_ARCHIVE && strstr(w.text, "\"again\":\"2\""));
    assert_string_equal(w.file_name, "x.zip");
    assert_string_equal(w.sha256, "00");
    wanted_read(a, yyjson_doc_get_root(other), &w);
    assert_int_equal(w.type, SOURCE_UPLOAD);
    wanted_read(a, NULL, &w);
    assert_int_equal(w.type, SOURCE_UPLOAD);
}

static int ignore_output(void *arg, struct str piece, struct error **err)
{
    return 0;
}

/* Into a status, which is JSON: it begins with a whole character, wherever it was cut. */
static void last_words_are_text(void **state)
{
    _cleanup_close_ int here = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int shift = 0; shift < 3; shift++) {
        _cleanup_free_ char *script = xasprintf(
            "i=0; while [ $i -lt 300 ]; do printf 课 >&2; i=$((i + 1)); done; printf '%%s' '%.*s' >&2; exit 3", shift,
            "end");
        const char *const arguments[] = {"/bin/sh", "-c", script, NULL};
        const struct process p = {.arguments = arguments,
                                  .folder = here,
                                  .network = true,
                                  .file_bytes = 1 << 20,
                                  .seconds = 60,
                                  .stop_fd = -1,
                                  .take = ignore_output};
        _cleanup_error_ struct error *err = NULL;
        assert_int_equal(process_run(&p, &err), -1);
        assert_true(err->reason == REASON_INVALID && strstr(err->message, "课"));
        assert_true(text_is_plain(str_from(err->message), ""));
    }
}

static int setup(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(references),
        cmocka_unit_test(folders),
        cmocka_unit_test(a_slash_at_the_end_of_a_folder),
        cmocka_unit_test(closed_folders_stay_closed),
        cmocka_unit_test(what_an_object_asks_for),
        cmocka_unit_test(last_words_are_text),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
