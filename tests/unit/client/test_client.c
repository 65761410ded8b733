#include "unit/client/peer.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "client/informer.h"

#define OBJECT(name, uid, version)                                                                                     \
    "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" uid "\",\"resourceVersion\":\"" version "\"}}"

struct setup {
    struct peer peer;
    struct client *client;
    int stop_fd;
};

static void begin(struct setup *s, const struct line *script, size_t n)
{
    peer_start(&s->peer, script, n);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->client = client_new(&(struct client_options){
        .transport = {.socket = s->peer.path, .url = "http://server"}, .prefix = "/apis/g/v1", .stop_fd = s->stop_fd});
}

static void end(struct setup *s)
{
    client_free(s->client);
    close(s->stop_fd);
    peer_end(&s->peer);
}

static void say_stop(struct setup *s)
{
    uint64_t one = 1;
    assert_int_equal(write(s->stop_fd, &one, sizeof(one)), sizeof(one));
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

static void test_reasons(void **state)
{
    static const struct line script[] = {
        {"GET /apis/g/v1/x HTTP", STATUS("409", "AlreadyExists", "there"), NULL, false},
        {"GET /apis/g/v1/x HTTP", STATUS("409", "Conflict", "other"), NULL, false},
        {"GET /apis/g/v1/x HTTP", STATUS("410", "Expired", "old"), NULL, false},
        {"GET /apis/g/v1/x HTTP", "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n<html>", NULL, false},
        {"GET /apis/g/v1/x HTTP", "HTTP/1.1 418 No\r\nConnection: close\r\n\r\n", NULL, false},
        {"GET /apis/g/v1/x HTTP", "HTTP/1.1 502 No\r\nConnection: close\r\n\r\n", NULL, false},
        {"GET /apis/g/v1/x HTTP", OK_JSON("{"), NULL, false},
    };
    static const enum reason reasons[] = {REASON_ALREADY_EXISTS, REASON_CONFLICT,    REASON_EXPIRED,
                                          REASON_NOT_FOUND,      REASON_BAD_REQUEST, REASON_SERVICE_UNAVAILABLE,
                                          REASON_BAD_REQUEST};
    struct setup s;

    begin(&s, script, ARRAY_SIZE(script));
    for (size_t i = 0; i < ARRAY_SIZE(script); i++) {
        _cleanup_error_ struct error *err = NULL;
        _cleanup_json_ yyjson_doc *answer = NULL;
        assert_true(client_call(s.client, &(struct client_request){"GET", "x", NULL, NULL}, &answer, &err) < 0);
        assert_int_equal(err->reason, reasons[i]);
        assert_null(answer);
    }
    end(&s);
}

static void test_a_server_that_hangs(void **state)
{
    static const struct line script[] = {{"GET /apis/g/v1/x HTTP", NULL, NULL, false}};
    _cleanup_error_ struct error *err = NULL;
    struct setup s;

    begin(&s, script, 1);
    assert_int_equal(client_call_ms(s.client), 20000);
    struct client *hasty =
        client_new(&(struct client_options){.transport = {.socket = s.peer.path, .url = "http://server"},
                                            .prefix = "/apis/g/v1",
                                            .stop_fd = s.stop_fd,
                                            .call_ms = 100});
    assert_true(client_call(hasty, &(struct client_request){"GET", "x", NULL, NULL}, NULL, &err) < 0);
    assert_int_equal(err->reason, REASON_TIMEOUT);
    client_free(hasty);
    end(&s);
}

static void fill(yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status, void *arg)
{
    (*(unsigned *)arg)++;
    json_mut_set_str(doc, status, "phase", "Running");
    json_mut_set_str(doc, status, "at", json_str_at(object, "metadata.resourceVersion"));
}

static void test_status_after_conflict(void **state)
{
    static const struct line script[] = {
        {"PATCH /apis/g/v1/devices/a/status", STATUS("409", "Conflict", "x"), "\"resourceVersion\":\"5\"", false},
        {"GET /apis/g/v1/devices/a", OK_JSON(OBJECT("a", "u1", "7")), NULL, false},
        {"PATCH /apis/g/v1/devices/a/status", OK_JSON(OBJECT("a", "u1", "8")),
         "{\"metadata\":{\"resourceVersion\":\"7\"},\"status\":{\"phase\":\"Running\",\"at\":\"7\"}}", false},
    };
    struct setup s;
    struct object_ref ref = {"devices", "a", "u1"};
    _cleanup_json_ yyjson_doc *known = json_parse(STR(OBJECT("a", "u1", "5")), NULL);
    _cleanup_json_ yyjson_doc *answer = NULL;
    unsigned fills = 0;

    begin(&s, script, ARRAY_SIZE(script));
    assert_int_equal(client_patch_status(s.client, &ref, yyjson_doc_get_root(known), fill, &fills, &answer, NULL), 0);
    assert_int_equal(fills, 2);
    assert_string_equal(json_str_at(yyjson_doc_get_root(answer), "metadata.resourceVersion"), "8");
    end(&s);
}

#define TRIES 9 /* one, and those of client.c after a conflict */

/* Somebody else is always first: given up in the end, whichever of them it was. */
static void test_conflicts_without_end(void **state)
{
    struct line script[4 * TRIES];
    struct object_ref ref = {"devices", "a", "u1"};
    struct setup s;
    unsigned fills = 0;

    for (size_t i = 0; i < ARRAY_SIZE(script); i += 2) {
        bool status = i < 2 * TRIES;
        script[i] = (struct line){"GET /apis/g/v1/devices/a ",
                                  OK_JSON("{\"metadata\":{\"name\":\"a\",\"uid\":\"u1\",\"resourceVersion\":\"3\","
                                          "\"finalizers\":[\"f\"]}}"),
                                  NULL, false};
        script[i + 1] = (struct line){status ? "PATCH /apis/g/v1/devices/a/status" : "PATCH /apis/g/v1/devices/a ",
                                      STATUS("409", "Conflict", "first"), NULL, false};
    }
    begin(&s, script, ARRAY_SIZE(script));
    for (int i = 0; i < 2; i++) {
        _cleanup_error_ struct error *err = NULL;
        int rc = i == 0 ? client_patch_status(s.client, &ref, NULL, fill, &fills, NULL, &err)
                        : client_remove_finalizer(s.client, &ref, "f", &err);
        assert_int_equal(rc, -1);
        assert_int_equal(err->reason, REASON_CONFLICT);
        assert_non_null(strstr(err->message, "first"));
    }
    assert_int_equal(fills, TRIES);
    end(&s);
}

static void test_status_of_another(void **state)
{
    static const struct line script[] = {
        {"PATCH /apis/g/v1/devices/a/status", STATUS("409", "Conflict", "x"), NULL, false},
        {"GET /apis/g/v1/devices/a", OK_JSON(OBJECT("a", "u2", "9")), NULL, false},
    };
    struct setup s;
    struct object_ref ref = {"devices", "a", "u1"};
    _cleanup_json_ yyjson_doc *known = json_parse(STR(OBJECT("a", "u1", "5")), NULL);
    _cleanup_error_ struct error *err = NULL;
    unsigned fills = 0;

    begin(&s, script, ARRAY_SIZE(script));
    assert_true(client_patch_status(s.client, &ref, yyjson_doc_get_root(known), fill, &fills, NULL, &err) < 0);
    assert_int_equal(err->reason, REASON_NOT_FOUND);
    end(&s);
}

#define WITH_FINALIZERS(list, version)                                                                                 \
    OK_JSON("{\"metadata\":{\"name\":\"a\",\"uid\":\"u1\",\"resourceVersion\":\"" version "\",\"finalizers\":" list    \
            "}}")

static void test_finalizer(void **state)
{
    static const struct line script[] = {
        {"GET /apis/g/v1/devices/a", WITH_FINALIZERS("[\"x\",\"f\"]", "3"), NULL, false},
        {"PATCH /apis/g/v1/devices/a ", STATUS("409", "Conflict", "x"), NULL, false},
        {"GET /apis/g/v1/devices/a", WITH_FINALIZERS("[\"x\",\"f\",\"y\"]", "4"), NULL, false},
        {"PATCH /apis/g/v1/devices/a ", OK_JSON("{}"),
         "{\"metadata\":{\"resourceVersion\":\"4\",\"finalizers\":[\"x\",\"y\"]}}", false},
        {"GET /apis/g/v1/devices/a", WITH_FINALIZERS("[\"x\"]", "5"), NULL, false},
        {"GET /apis/g/v1/devices/a", OK_JSON(OBJECT("a", "u2", "9")), NULL, false},
        {"GET /apis/g/v1/devices/a", STATUS("404", "NotFound", "x"), NULL, false},
        {"GET /apis/g/v1/devices/a", STATUS("403", "Forbidden", "x"), NULL, false},
    };
    struct setup s;
    struct object_ref ref = {"devices", "a", "u1"};

    begin(&s, script, ARRAY_SIZE(script));
    assert_int_equal(client_remove_finalizer(s.client, &ref, "f", NULL), 0);
    assert_int_equal(client_remove_finalizer(s.client, &ref, "f", NULL), 0); /* not there */
    assert_int_equal(client_remove_finalizer(s.client, &ref, "f", NULL), 0); /* another object */
    assert_int_equal(client_remove_finalizer(s.client, &ref, "f", NULL), 0); /* gone */
    assert_true(client_remove_finalizer(s.client, &ref, "f", NULL) < 0);
    end(&s);
}

/* What runs is ended by nothing but the server's word that there is no such object. */
static void test_what_is_gone(void **state)
{
    static const struct line script[] = {
        {"GET /apis/g/v1/devices/a ", STATUS("404", "NotFound", "x"), NULL, false},
        {"GET /apis/g/v1/devices/a ", OK_JSON(OBJECT("a", "u2", "9")), NULL, false},
        {"GET /apis/g/v1/devices/a ", OK_JSON(OBJECT("a", "u1", "9")), NULL, false},
        {"GET /apis/g/v1/devices/a ", STATUS("500", "InternalError", "it is damaged"), NULL, false},
        {"GET /apis/g/v1/devices/a ", STATUS("503", "ServiceUnavailable", "x"), NULL, false},
        {"GET /apis/g/v1/devices/a ", STATUS("403", "Forbidden", "x"), NULL, false},
    };
    struct setup s;
    struct object_ref ref = {"devices", "a", "u1"};
    _cleanup_error_ struct error *there = NULL, *damaged = NULL;

    begin(&s, script, ARRAY_SIZE(script));
    assert_true(client_is_gone(s.client, &ref, NULL));
    assert_true(client_is_gone(s.client, &ref, NULL)); /* another one bears its name */
    assert_false(client_is_gone(s.client, &ref, &there));
    assert_non_null(strstr(there->message, "\"a\" is there"));
    assert_false(client_is_gone(s.client, &ref, &damaged));
    assert_non_null(strstr(damaged->message, "it is damaged"));
    assert_false(client_is_gone(s.client, &ref, NULL));
    assert_false(client_is_gone(s.client, &ref, NULL));
    end(&s);
}

/* --- list and watch --------------------------------------------------------------------------------------------- */

struct heard {
    pthread_mutex_t lock;
    char names[256];
    unsigned connected, lost;
};

static void changed(void *arg, const char *name)
{
    struct heard *h = arg;
    LOCK_SCOPE(&h->lock);
    size_t n = strlen(h->names);
    snprintf(h->names + n, sizeof(h->names) - n, "%s ", name);
}

static void connected(void *arg)
{
    struct heard *h = arg;
    LOCK_SCOPE(&h->lock);
    h->connected++;
}

static void lost(void *arg, const char *message)
{
    struct heard *h = arg;
    LOCK_SCOPE(&h->lock);
    h->lost++;
}

static void wait_names(struct heard *h, size_t n)
{
    for (;; usleep(1000)) {
        LOCK_SCOPE(&h->lock);
        size_t blanks = 0;
        for (const char *c = h->names; *c; c++)
            blanks += *c == ' ';
        if (blanks >= n)
            return;
    }
}

/* So many and no more. */
static void check_names(struct heard *h, size_t n)
{
    size_t blanks = 0;

    LOCK_SCOPE(&h->lock);
    for (const char *c = h->names; *c; c++)
        blanks += *c == ' ';
    assert_int_equal(blanks, n);
}

static struct informer *inform(struct setup *s, struct heard *h)
{
    pthread_mutex_init(&h->lock, NULL);
    struct informer *i = informer_new(&(struct informer_options){s->client, "things", changed, connected, lost, h});
    informer_start(i);
    return i;
}

static bool has(struct informer *i, const char *name, const char *version)
{
    _cleanup_cached_ struct cached *c = informer_get(i, name);
    return c ? streq(json_str_at(c->object, "metadata.resourceVersion"), version) : version == NULL;
}

#define LIST(version, more, items)                                                                                     \
    OK_JSON("{\"metadata\":{\"resourceVersion\":\"" version "\"" more "},\"items\":[" items "]}")
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define WATCH(version) "GET /apis/g/v1/things?watch=true&allowWatchBookmarks=true&timeoutSeconds="

static void test_list_in_pages_then_watch(void **state)
{
    static const struct line script[] = {
        {"GET /apis/g/v1/things?limit=500 HTTP", LIST("10", ",\"continue\":\"a+b\"", OBJECT("a", "1", "3")), NULL,
         false},
        {"GET /apis/g/v1/things?limit=500&continue=a%2Bb HTTP", LIST("10", "", OBJECT("b", "2", "4")), NULL, false},
        {WATCH(),
         OK_JSON(EVENT("ADDED", OBJECT("c", "3", "11")) EVENT("MODIFIED", OBJECT("a", "1", "12")) EVENT(
             "DELETED", OBJECT("b", "2", "13")) EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"20\"}}")),
         "resourceVersion=10 ", true},
    };
    struct setup s;
    struct heard h = {0};

    begin(&s, script, ARRAY_SIZE(script));
    struct informer *i = inform(&s, &h);
    wait_names(&h, 5);
    assert_true(informer_synced(i));
    assert_true(has(i, "a", "12") && has(i, "b", NULL) && has(i, "c", "11"));
    struct cached **all;
    assert_int_equal(informer_all(i, &all), 2);
    cached_unref(all[0]);
    cached_unref(all[1]);
    free(all);
    say_stop(&s);
    informer_free(i);
    assert_int_equal(h.connected, 1);
    assert_int_equal(h.lost, 0);
    end(&s);
}

static void test_resume_at_the_bookmark(void **state)
{
    static const struct line script[] = {
        {"GET /apis/g/v1/things?limit=500", LIST("10", "", OBJECT("a", "1", "3")), NULL, false},
        {WATCH(), OK_JSON(EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"20\"}}")), "resourceVersion=10 ",
         false},
        {"GET /apis/g/v1/things?limit=1 HTTP", STATUS("503", "ServiceUnavailable", "x"), NULL, false},
        {"GET /apis/g/v1/things?limit=1 HTTP", OK_JSON("{}"), NULL, false},
        {WATCH(), OK_JSON(EVENT("MODIFIED", OBJECT("a", "1", "21"))), "resourceVersion=20 ", true},
    };
    struct setup s;
    struct heard h = {0};

    begin(&s, script, ARRAY_SIZE(script));
    struct informer *i = inform(&s, &h);
    wait_names(&h, 2);
    assert_true(has(i, "a", "21"));
    say_stop(&s);
    informer_free(i);
    assert_int_equal(h.connected, 2); /* told again, for the server may be another one */
    assert_int_equal(h.lost, 1);
    end(&s);
}

static void relist_after(const char *event, const char *status)
{
    const struct line script[] = {
        {"GET /apis/g/v1/things?limit=500", LIST("10", "", OBJECT("a", "1", "3") "," OBJECT("b", "2", "4")), NULL,
         false},
        {WATCH(), event ? event : status, "resourceVersion=10 ", false},
        {"GET /apis/g/v1/things?limit=500", LIST("30", "", OBJECT("b", "2", "4") "," OBJECT("c", "3", "30")), NULL,
         false},
        {WATCH(), OK_JSON(""), "resourceVersion=30 ", true},
    };
    struct setup s;
    struct heard h = {0};

    begin(&s, script, ARRAY_SIZE(script));
    struct informer *i = inform(&s, &h);
    wait_names(&h, 5); /* a, b; then b, c, and a, which is gone */
    assert_true(has(i, "a", NULL) && has(i, "b", "4") && has(i, "c", "30"));
    peer_wait(&s.peer, 4);
    check_names(&h, 5);
    say_stop(&s);
    informer_free(i);
    end(&s);
}

static void test_list_anew_after_410(void **state)
{
    relist_after(NULL, STATUS("410", "Expired", "too old"));
    relist_after(OK_JSON(EVENT("ERROR", "{\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}")), NULL);
}

static void test_garbage_in_a_watch(void **state)
{
    static const struct line script[] = {
        {"GET /apis/g/v1/things?limit=500", LIST("10", "", ""), NULL, false},
        {WATCH(), OK_JSON("{nonsense}\n" EVENT("ADDED", OBJECT("x", "1", "11"))), NULL, false},
        {"GET /apis/g/v1/things?limit=1 HTTP", OK_JSON("{}"), NULL, false},
        {WATCH(), OK_JSON(EVENT("ADDED", OBJECT("a", "1", "12"))), "resourceVersion=10 ", true},
    };
    struct setup s;
    struct heard h = {0};

    begin(&s, script, ARRAY_SIZE(script));
    struct informer *i = inform(&s, &h);
    wait_names(&h, 1);
    assert_true(has(i, "a", "12") && has(i, "x", NULL));
    say_stop(&s);
    informer_free(i);
    end(&s);
}

#define LINE_MAX_BYTES ((size_t)8 << 20) /* of client.c */

static char *lines_of(size_t first)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", rest[] = "\nlast\n";
    char *text = xmalloc(strlen(head) + first + sizeof(rest));

    memcpy(text, head, strlen(head));
    memset(text + strlen(head), 'x', first);
    memcpy(text + strlen(head) + first, rest, sizeof(rest));
    return text;
}

static int note_length(void *arg, struct str line)
{
    size_t *lengths = arg;

    *(lengths[0] ? &lengths[1] : &lengths[0]) = line.n;
    return 0;
}

/* As a whole or not at all: never a part of it. */
static void check_line(size_t length, bool comes)
{
    _cleanup_free_ char *answer = lines_of(length);
    const struct line script[] = {{"GET /apis/g/v1/things?watch", answer, NULL, false}};
    size_t lengths[2] = {0};
    struct setup s;

    begin(&s, script, 1);
    int rc _unused_ = client_stream(s.client, "things?watch", 60, note_length, lengths, NULL);
    assert_int_equal(lengths[0], comes ? length : 0);
    assert_int_equal(lengths[1], comes ? 4 : 0);
    end(&s);
}

static void test_lines_come_as_a_whole(void **state)
{
    check_line(1, true);
    check_line(100000, true);
    check_line(LINE_MAX_BYTES, true);
    check_line(LINE_MAX_BYTES + 1, false);
    check_line(LINE_MAX_BYTES + 100000, false);
}

/* One that ends at once, in good order or by a line that is too long, is no reason to ask without pause. */
static void test_watches_that_end_at_once_are_begun_ever_later(void **state)
{
    static const struct line script[] = {
        {"GET /apis/g/v1/things?limit=500", LIST("10", "", ""), NULL, false},
        {WATCH(), OK_JSON(""), NULL, false},
        {"GET /apis/g/v1/things?limit=1 HTTP", OK_JSON("{}"), NULL, false},
        {WATCH(), STATUS("410", "Expired", "too old"), NULL, false},
        {"GET /apis/g/v1/things?limit=500", LIST("10", "", ""), NULL, false},
        {WATCH(), OK_JSON(EVENT("ERROR", "{\"code\":410}")), NULL, false},
        {"GET /apis/g/v1/things?limit=500", LIST("10", "", ""), NULL, false},
        {WATCH(), OK_JSON(""), NULL, true},
    };
    struct setup s;
    struct heard h = {0};

    begin(&s, script, ARRAY_SIZE(script));
    int64_t begun = clock_monotonic_us();
    struct informer *i = inform(&s, &h);
    peer_wait(&s.peer, ARRAY_SIZE(script));
    /* At least half of 100, 200 and 400 ms. */
    assert_true(clock_monotonic_us() - begun >= 350000);
    assert_int_equal(informer_restored(i), 0); /* listed anew, at the revision that it was at */
    say_stop(&s);
    informer_free(i);
    end(&s);
}

static void test_an_older_state_is_no_news(void **state)
{
    static const struct line script[] = {
        {"GET /apis/g/v1/things?limit=500", LIST("10", "", OBJECT("a", "1", "9") "," OBJECT("b", "2", "9")), NULL,
         false},
        {WATCH(),
         OK_JSON(EVENT("MODIFIED", OBJECT("a", "1", "8")) EVENT("DELETED", OBJECT("b", "2", "7"))
                     EVENT("ADDED", OBJECT("b", "3", "6")) EVENT("MODIFIED", OBJECT("a", "1", "12"))),
         NULL, false},
        {"GET /apis/g/v1/things?limit=1 HTTP", OK_JSON("{}"), NULL, false},
        {WATCH(), OK_JSON(""), "resourceVersion=12 ", true},
    };
    struct setup s;
    struct heard h = {0};

    begin(&s, script, ARRAY_SIZE(script));
    struct informer *i = inform(&s, &h);
    wait_names(&h, 4);
    assert_string_equal(h.names + 4, "b a "); /* another object of the name; and the newer state */
    assert_true(has(i, "a", "12") && has(i, "b", "6"));
    assert_int_equal(informer_revision(i), 12);
    peer_wait(&s.peer, ARRAY_SIZE(script));
    say_stop(&s);
    informer_free(i);
    end(&s);
}

static void test_a_store_that_went_back(void **state)
{
    static const struct line script[] = {
        {"GET /apis/g/v1/things?limit=500", LIST("100", "", OBJECT("a", "1", "90")), NULL, false},
        {WATCH(), OK_JSON(""), NULL, false},
        {"GET /apis/g/v1/things?limit=1 HTTP", LIST("100", "", ""), NULL, false},
        {WATCH(), OK_JSON(""), "resourceVersion=100 ", false},
        {"GET /apis/g/v1/things?limit=1 HTTP", LIST("40", "", ""), NULL, false},
        {"GET /apis/g/v1/things?limit=500", LIST("40", "", ""), NULL, false},
        {WATCH(), OK_JSON(EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"41\"}}")), "resourceVersion=40 ",
         false},
        {"GET /apis/g/v1/things?limit=1 HTTP", OK_JSON("{}"), NULL, false},
        {WATCH(), OK_JSON(""), "resourceVersion=41 ", false},
        /* By a single one. */
        {"GET /apis/g/v1/things?limit=1 HTTP", LIST("40", "", ""), NULL, false},
        {"GET /apis/g/v1/things?limit=500", LIST("40", "", ""), NULL, false},
        {WATCH(), OK_JSON(""), "resourceVersion=40 ", true},
    };
    struct setup s;
    struct heard h = {0};

    begin(&s, script, ARRAY_SIZE(script));
    struct informer *i = inform(&s, &h);
    wait_names(&h, 2);
    peer_wait(&s.peer, ARRAY_SIZE(script));
    assert_true(has(i, "a", NULL));
    assert_int_equal(informer_revision(i), 40);
    assert_int_equal(informer_restored(i), 2);
    say_stop(&s);
    informer_free(i);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_status_after_conflict),
        cmocka_unit_test(test_conflicts_without_end),
        cmocka_unit_test(test_status_of_another),
        cmocka_unit_test(test_finalizer),
        cmocka_unit_test(test_what_is_gone),
        cmocka_unit_test(test_list_in_pages_then_watch),
        cmocka_unit_test(test_resume_at_the_bookmark),
        cmocka_unit_test(test_list_anew_after_410),
        cmocka_unit_test(test_garbage_in_a_watch),
        cmocka_unit_test(test_lines_come_as_a_whole),
        cmocka_unit_test(test_watches_that_end_at_once_are_begun_ever_later),
        cmocka_unit_test(test_an_older_state_is_no_news),
        cmocka_unit_test(test_a_store_that_went_back),
        cmocka_unit_test(test_a_server_that_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
