/* Uploads on disk: what is acknowledged is there after a kill, and nothing behind it; sizes, room and checksums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "server/content/upload.h"

#define ID "9f1c"
/* Of «hello world». */
#define SUM "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"

struct world {
    char base[64];
    struct library library;
};

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));

    strcpy(w->base, "/tmp/open-hydra-upload-XXXXXX");
    assert_non_null(mkdtemp(w->base));
    w->library = (struct library){.plural = "datasets",
                                  .key = "datasetBasePath",
                                  .size_key = "datasetMaxSize",
                                  .path = w->base,
                                  .max_bytes = 100};
    library_init(&w->library);
    assert_int_equal(library_open(&w->library, NULL), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *remove = xasprintf("rm -rf %s", w->base);

    library_close(&w->library);
    assert_int_equal(system(remove), 0);
    free(w);
    return 0;
}

static struct upload *begin(struct world *w, uint64_t length)
{
    const struct upload_head head = {.id = ID,
                                     .name = "words",
                                     .uid = "u-1",
                                     .file_name = "words.txt",
                                     .tag = "t",
                                     .metadata = "m",
                                     .length = length,
                                     .resumable = true};
    struct upload *u = upload_begin(&w->library, &head, NULL);

    assert_non_null(u);
    return u;
}

static void write_text(struct upload *u, const char *text)
{
    assert_int_equal(upload_write(u, text, strlen(text), NULL), 0);
}

static void expect_error(int rc, struct error **err, enum reason reason, const char *says)
{
    assert_int_equal(rc, -1);
    assert_int_equal((*err)->reason, reason);
    if (strstr((*err)->message, says) == NULL)
        fail_msg("%s", (*err)->message);
    error_free(steal_ptr(*err));
}

static void test_one_go(void **state)
{
    struct upload *u = begin(*state, 11);

    write_text(u, "hello ");
    write_text(u, "world");
    assert_int_equal(upload_finish(u, "words", "u-1", NULL), 0);
    assert_string_equal(u->checksum, SUM);
    assert_int_equal(u->offset, 11);
    upload_close(u);
}

/* Killed: bytes behind what was acknowledged are cut off, and the checksum is right all the same. */
static void test_goes_on(void **state)
{
    struct world *w = *state;
    struct upload *u = begin(w, 11);
    struct stat st;

    write_text(u, "hello ");
    assert_int_equal(upload_keep(u, NULL), 0);
    write_text(u, "wor");
    upload_close(u);
    u = upload_open(&w->library, ID, NULL);
    assert_non_null(u);
    assert_int_equal(u->offset, 6);
    assert_int_equal(fstat(u->body, &st), 0);
    assert_int_equal(st.st_size, 6);
    assert_string_equal(u->name, "words");
    assert_string_equal(u->uid, "u-1");
    assert_string_equal(u->file_name, "words.txt");
    assert_string_equal(u->tag, "t");
    assert_string_equal(u->metadata, "m");
    assert_true(u->resumable);
    assert_false(u->whole);
    write_text(u, "world");
    assert_int_equal(upload_finish(u, "words", "u-1", NULL), 0);
    assert_string_equal(u->checksum, SUM);
    upload_close(u);
    u = upload_open(&w->library, ID, NULL);
    assert_true(u->whole);
    assert_string_equal(u->checksum, SUM);
    const struct upload_outcome outcome = {3, 11, 1};
    assert_int_equal(upload_publishes(u, &outcome, NULL), 0);
    upload_close(u);
    u = upload_open(&w->library, ID, NULL);
    assert_int_equal(u->outcome.version, 3);
    assert_int_equal(u->outcome.bytes, 11);
    assert_int_equal(u->outcome.files, 1);
    upload_close(u);
}

static void test_taken_back(void **state)
{
    struct upload *u = begin(*state, 11);

    write_text(u, "hello ");
    assert_int_equal(upload_keep(u, NULL), 0);
    write_text(u, "xxxxx");
    assert_int_equal(upload_take_back(u, NULL), 0);
    write_text(u, "world");
    assert_int_equal(upload_finish(u, "words", "u-1", NULL), 0);
    assert_string_equal(u->checksum, SUM);
    upload_close(u);
}

static void test_limits(void **state)
{
    struct world *w = *state;
    const struct upload_head head = {.id = ID, .length = 101};
    struct upload *u = begin(w, UPLOAD_NO_LENGTH);
    struct error *err = NULL;
    char much[101] = {0};

    assert_int_equal(upload_write(u, much, 100, NULL), 0);
    expect_error(upload_write(u, much, 1, &err), &err, REASON_REQUEST_TOO_LARGE, "datasetMaxSize");
    upload_close(u);
    u = begin(w, UPLOAD_NO_LENGTH);
    expect_error(upload_write(u, much, 101, &err), &err, REASON_REQUEST_TOO_LARGE, "datasetMaxSize");
    upload_close(u);
    u = begin(w, 3);
    expect_error(upload_write(u, "four", 4, &err), &err, REASON_BAD_REQUEST, "more comes than the 3 bytes");
    upload_close(u);
    assert_null(upload_begin(&w->library, &head, &err));
    expect_error(-1, &err, REASON_REQUEST_TOO_LARGE, "101 bytes");
    /* What was refused did not take the place of what is there. */
    u = upload_open(&w->library, ID, NULL);
    assert_non_null(u);
    upload_close(u);
    w->library.max_bytes = UINT64_MAX;
    const struct upload_head huge = {.id = ID, .length = UINT64_C(1) << 60};
    assert_null(upload_begin(&w->library, &huge, &err));
    expect_error(-1, &err, REASON_INSUFFICIENT_STORAGE, "is full");
}

static void count(void *arg, const char *id)
{
    assert_string_equal(id, ID);
    ++*(int *)arg;
}

static void test_removed(void **state)
{
    struct world *w = *state;
    struct error *err = NULL;
    int n = 0;

    upload_close(begin(w, 11));
    upload_list(&w->library, count, &n);
    assert_int_equal(n, 1);
    assert_int_equal(upload_remove(&w->library, ID, NULL), 0);
    assert_int_equal(upload_remove(&w->library, ID, NULL), 0);
    upload_list(&w->library, count, &n);
    assert_int_equal(n, 1);
    assert_null(upload_open(&w->library, ID, &err));
    expect_error(-1, &err, REASON_NOT_FOUND, "nothing is being uploaded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
