/* The API without HTTP: operations as plain data, and what comes of them; and the one place that all of them pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/thread.h"
#include "unit/api/client.h"

static struct fixture f;

/* --- What was told to the audit --- */

static struct {
    pthread_mutex_t lock;
    size_t n;
    struct {
        enum verb verb;
        char path[128], name[64], who[32], address[32];
        bool resource;
        struct operation_outcome outcome;
    } told[64];
} audited = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void audit(void *context, const struct operation *op, const struct operation_outcome *outcome)
{
    LOCK_SCOPE(&audited.lock);
    assert_true(audited.n < ARRAY_SIZE(audited.told));
    typeof(&audited.told[0]) t = &audited.told[audited.n++];
    t->verb = op->verb;
    t->resource = op->kind != NULL;
    t->outcome = *outcome;
    snprintf(t->path, sizeof(t->path), "%s", op->path ? op->path : "");
    snprintf(t->name, sizeof(t->name), "%s", op->name ? op->name : "");
    snprintf(t->who, sizeof(t->who), "%s", op->who.name);
    snprintf(t->address, sizeof(t->address), "%s", op->who.address ? op->who.address : "");
}

static int setup(void **state)
{
    audited.n = 0;
    f = (struct fixture){.audit = audit};
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(&f);
    return 0;
}

/* --- A caller --- */

struct caller {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct arena *arena;
    unsigned calls, code;
    enum reason reason;
    char *body, *headers, *name;
    struct source *source;
    unsigned wakes;
};

static void done(void *arg, const struct result *r)
{
    struct caller *c = arg;
    struct buffer headers = BUFFER_MAX(65536);
    LOCK_SCOPE(&c->lock);

    for (const struct header *h = r->headers; h; h = h->next)
        buffer_printf(&headers, "%s: %s\n", h->name, h->value);
    c->calls++;
    c->code = r->code;
    c->reason = r->error ? r->error->reason : 0;
    c->body = xstrndup(r->body.p ? r->body.p : "", r->body.n);
    c->name = r->name ? xstrdup(r->name) : NULL;
    c->source = r->source;
    buffer_puts(&headers, "");
    c->headers = buffer_steal(&headers);
    if (r->release)
        r->release(r->owner);
    pthread_cond_signal(&c->changed);
}

static void caller_init(struct caller *c)
{
    *c = (struct caller){.arena = arena_new()};
    pthread_mutex_init(&c->lock, NULL);
    cond_init_monotonic(&c->changed);
}

static void caller_free(struct caller *c)
{
    assert_int_equal(c->calls, 1);
    free(c->body);
    free(c->headers);
    free(c->name);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    arena_free(c->arena);
}

/* As somebody who may everything where nobody is said. */
static struct caller *perform(struct operation op)
{
    struct caller *c = xcalloc(1, sizeof(*c));
    struct operation *kept;

    caller_init(c);
    kept = arena_alloc(c->arena, sizeof(*kept));
    *kept = op;
    kept->arena = c->arena;
    if (!kept->path)
        kept->kind = f.widget;
    if (!kept->who.name)
        kept->who = (struct identity){.name = "importer", .role = 1};
    if (!kept->representation)
        kept->representation = REPRESENT_OBJECT;
    api_call(f.api, kept, done, c);
    pthread_mutex_lock(&c->lock);
    while (c->calls == 0)
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
    return c;
}

static void forget(struct caller *c)
{
    caller_free(c);
    free(c);
}

#define BODY(name, spec)                                                                                               \
    {                                                                                                                  \
        WIDGET(name, spec), sizeof(WIDGET(name, spec)) - 1                                                             \
    }

static void an_object_or_an_error(void **state)
{
    struct caller *c = perform((struct operation){.verb = VERB_CREATE, .body = BODY("a", "{\"size\":3,\"more\":1}")});

    assert_int_equal(c->code, 201);
    assert_string_equal(c->name, "a");
    assert_non_null(strstr(c->body, "\"size\":3"));
    assert_non_null(strstr(c->headers, "Warning: 299 - \"unknown field"));
    forget(c);
    c = perform((struct operation){.verb = VERB_GET, .name = "a"});
    assert_int_equal(c->code, 200);
    assert_int_equal(c->reason, 0);
    assert_non_null(strstr(c->body, "\"size\":3"));
    forget(c);
    c = perform((struct operation){.verb = VERB_GET, .name = "b"});
    assert_int_equal(c->code, 404);
    assert_int_equal(c->reason, REASON_NOT_FOUND);
    assert_non_null(strstr(c->body, "\"reason\":\"NotFound\""));
    forget(c);
    c = perform((struct operation){.verb = VERB_CREATE, .body = BODY("c", "{\"size\":3000}")});
    assert_int_equal(c->code, 422);
    assert_int_equal(c->reason, REASON_INVALID);
    assert_string_equal(c->name, "c");
    forget(c);
}

static void as_somebody(void **state)
{
    const struct identity me = {.name = "me", .role = 2, .uid = "u"}, nobody = {.name = "nobody"};
    struct caller *c =
        perform((struct operation){.verb = VERB_CREATE, .who = me, .body = BODY("me", "{\"owner\":\"somebody\"}")});

    assert_int_equal(c->code, 403);
    forget(c);
    c = perform((struct operation){.verb = VERB_CREATE, .who = me, .body = BODY("me", "{\"owner\":\"me\"}")});
    assert_int_equal(c->code, 201);
    forget(c);
    c = perform((struct operation){.verb = VERB_LIST, .who = nobody});
    assert_int_equal(c->code, 401);
    assert_non_null(strstr(c->headers, "WWW-Authenticate: Bearer"));
    forget(c);
}

static void parameters_and_types(void **state)
{
    static const struct parameter dry[] = {{"fieldManager", "x"}, {"dryRun", "All"}};
    struct caller *c = perform((struct operation){
        .verb = VERB_CREATE, .body = BODY("a", "{}"), .parameters = dry, .parameters_len = ARRAY_SIZE(dry)});

    assert_int_equal(c->code, 201);
    forget(c);
    c = perform((struct operation){.verb = VERB_GET, .name = "a"});
    assert_int_equal(c->code, 404);
    forget(c);
    c = perform((struct operation){.verb = VERB_PATCH, .name = "a", .body = STR("{}"), .media_type = "text/plain"});
    assert_int_equal(c->code, 404);
    forget(c);
    forget(perform((struct operation){.verb = VERB_CREATE, .body = BODY("a", "{}")}));
    c = perform((struct operation){.verb = VERB_PATCH, .name = "a", .body = STR("{}"), .media_type = "text/plain"});
    assert_int_equal(c->code, 415);
    assert_non_null(strstr(c->headers, "Accept-Patch: application/merge-patch+json\n"));
    forget(c);
    c = perform((struct operation){.verb = VERB_GET, .name = "a", .representation = REPRESENT_TABLE});
    assert_non_null(strstr(c->body, "\"kind\":\"Table\""));
    forget(c);
}

static void subresources(void **state)
{
    forget(perform((struct operation){.verb = VERB_CREATE, .body = BODY("a", "{}")}));
    struct caller *c = perform((struct operation){.verb = VERB_CREATE, .name = "a", .subresource = "ticket"});

    assert_int_equal(c->code, 201);
    assert_string_equal(c->body, "a for importer");
    forget(c);
    c = perform((struct operation){.verb = VERB_GET, .name = "a", .subresource = "ticket"});
    assert_int_equal(c->code, 404);
    forget(c);
    c = perform((struct operation){.verb = VERB_GET, .name = "a", .subresource = "nothing"});
    assert_int_equal(c->code, 404);
    forget(c);
    c = perform((struct operation){.verb = VERB_GET, .path = "/version"});
    assert_non_null(strstr(c->body, "open-hydra-0.0-test"));
    forget(c);
}

static void count_wake(void *arg)
{
    struct caller *c = arg;
    LOCK_SCOPE(&c->lock);
    c->wakes++;
    pthread_cond_signal(&c->changed);
}

/* A watch is a source that whoever called reads, and closes. */
static void a_watch_is_a_source(void **state)
{
    static const struct parameter from_now[] = {{"resourceVersion", "0"}};
    char out[4096];

    forget(perform((struct operation){.verb = VERB_CREATE, .body = BODY("a", "{}")}));
    struct caller *c =
        perform((struct operation){.verb = VERB_WATCH, .parameters = from_now, .parameters_len = ARRAY_SIZE(from_now)});
    assert_int_equal(c->code, 200);
    assert_non_null(c->source);
    c->source->wake = count_wake;
    c->source->wake_arg = c;
    ssize_t n = c->source->read(c->source, out, sizeof(out) - 1);
    assert_true(n > 0);
    out[n] = '\0';
    assert_non_null(strstr(out, "{\"type\":\"ADDED\""));
    assert_int_equal(c->source->read(c->source, out, sizeof(out)), 0);
    forget(perform((struct operation){.verb = VERB_DELETE, .name = "a"}));
    pthread_mutex_lock(&c->lock);
    while (c->wakes == 0)
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
    n = c->source->read(c->source, out, sizeof(out) - 1);
    assert_true(n > 0);
    out[n] = '\0';
    assert_non_null(strstr(out, "{\"type\":\"DELETED\""));
    c->source->close(c->source);
    forget(c);
}

static void told(size_t i, enum verb verb, const char *path, const char *name, unsigned code, bool bytes)
{
    LOCK_SCOPE(&audited.lock);
    assert_int_equal(audited.n, i + 1);
    assert_int_equal(audited.told[i].verb, verb);
    assert_string_equal(audited.told[i].path, path);
    assert_string_equal(audited.told[i].name, name);
    assert_int_equal(audited.told[i].outcome.code, code);
    assert_int_equal(audited.told[i].outcome.bytes > 0, bytes);
    assert_true(audited.told[i].outcome.us >= 0);
}

/* Resources, documents, health, subresources of a kind's own, what is refused and what is no operation: each once. */
static void every_operation_is_told(void **state)
{
    size_t i = 0;

    expect(201, CALL(&f, .method = "POST", .path = WIDGETS, .body = WIDGET("a", "{}"), .user = "me"));
    told(i++, VERB_CREATE, WIDGETS, "", 201, true);
    assert_string_equal(audited.told[0].who, "me");
    assert_true(audited.told[0].resource);
    expect(200, CALL(&f, .path = WIDGETS "/a"));
    told(i++, VERB_GET, WIDGETS "/a", "a", 200, true);
    expect(201, CALL(&f, .method = "POST", .path = WIDGETS "/a/ticket"));
    told(i++, VERB_CREATE, WIDGETS "/a/ticket", "a", 201, true);
    expect(404, CALL(&f, .path = WIDGETS "/b"));
    told(i++, VERB_GET, WIDGETS "/b", "b", 404, true);
    expect(405, CALL(&f, .method = "PUT", .path = WIDGETS, .body = "{}"));
    told(i++, VERB_NONE, WIDGETS, "", 405, true);
    expect(200, CALL(&f, .path = "/healthz/"));
    told(i++, VERB_GET, "/healthz", "", 200, true);
    assert_false(audited.told[i - 1].resource);
    expect(200, CALL(&f, .path = "/apis"));
    told(i++, VERB_GET, "/apis", "", 200, true);
    expect(404, CALL(&f, .path = "/apis/nothing"));
    told(i++, VERB_GET, "/apis/nothing", "", 404, true);
    struct watching *w = watch_open(&f, &(struct call){.path = WIDGETS "?watch=true"});
    assert_string_equal(watch_next_text(w), "ADDED a");
    watch_free(w);
    told(i++, VERB_WATCH, WIDGETS, "", 200, false);
}

/* Nobody was let in, and why: told too. */
static void what_is_refused_before_is_told(void **state)
{
    const struct operation op = {
        .verb = VERB_LIST, .kind = f.widget, .path = WIDGETS, .who = {.name = "system:anonymous"}};
    struct caller c;
    struct operation *kept;
    struct error *err = NULL;

    caller_init(&c);
    kept = arena_alloc(c.arena, sizeof(*kept));
    *kept = op;
    kept->arena = c.arena;
    error_set(&err, REASON_TOO_MANY_REQUESTS, "too many guesses");
    err->retry_after = 7;
    api_refuse(f.api, kept, err, done, &c);
    assert_int_equal(c.code, 429);
    assert_non_null(strstr(c.headers, "Retry-After: 7\n"));
    assert_non_null(strstr(c.body, "too many guesses"));
    told(0, VERB_LIST, WIDGETS, "", 429, true);
    caller_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_object_or_an_error),
        TEST(as_somebody),
        TEST(parameters_and_types),
        TEST(subresources),
        TEST(a_watch_is_a_source),
        TEST(every_operation_is_told),
        TEST(what_is_refused_before_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
