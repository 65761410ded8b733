#include "unit/api/fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "server/api/over_http.h"
#include "server/api/stored.h"
#include "unit/api/widget.h"

static enum verdict authorize(const struct identity *who, const struct attributes *what)
{
    if (who->role == 1)
        return VERDICT_ALLOW;
    if (who->role == 2 && what->kind)
        return VERDICT_OWN;
    return VERDICT_DENY;
}

/* As administrators are; a bench of thousands of watches is one of theirs. */
static bool reserved(const struct identity *who)
{
    return who->role == 1;
}

static void handle(struct http_exchange *x, void *arg)
{
    struct fixture *f = arg;
    const char *role = http_header(x, "X-Role");
    struct identity who = {
        .name = http_header(x, "X-User"), .role = role ? role[0] - '0' : 1, .address = http_header(x, "X-Real-IP")};

    if (who.name == NULL)
        who.name = who.role ? "tester" : "system:anonymous";
    who.uid = who.role == 2 ? who.name : NULL;
    assert_true(api_owns(http_path(x)));
    api_handle(f->api, x, &who);
}

static int body_gate(struct http_exchange *x, void *arg, size_t *max, struct error **err)
{
    return (int)api_body_use(((struct fixture *)arg)->api, x, max);
}

static int check_stored(void *arg, const char *collection, const struct object *o, struct error **err)
{
    return stored_check(o, err);
}

static void start(struct fixture *f)
{
    struct error *err = NULL;
    struct store_options store_options = {.directory = f->database,
                                          .log_max_events = f->log_max_events ? f->log_max_events : 10000,
                                          .log_max_age_seconds = 3600,
                                          .check = check_stored};

    f->store = store_open(&store_options, &err);
    if (f->store == NULL)
        fail_msg("%s", err->message);
    struct api_resource resource = {f->widget, &widget_hooks};
    struct api_options options = {.store = f->store,
                                  .resources = &resource,
                                  .resources_len = 1,
                                  .authorize = authorize,
                                  .reserved = reserved,
                                  .audit = f->audit,
                                  .workers = f->workers,
                                  .parsers = f->parsers,
                                  .watch_seconds = f->watch_seconds,
                                  .bookmark_seconds = f->bookmark_seconds,
                                  .version = "0.0-test"};
    options.flow = f->flow = flow_new();
    f->api = api_new(&options, &err);
    assert_non_null(f->api);
    f->listen_fd = listen_unix(f->socket, 0666, &err);
    assert_true(f->listen_fd >= 0);
    struct http_options http_options = {.listen_fd = f->listen_fd,
                                        .role = HTTP_GATEWAY,
                                        .peer_uid = (uid_t)-1,
                                        .max_connections = 20000,
                                        .max_body = 3 << 20,
                                        .body_gate = body_gate,
                                        .idle_seconds = 60};
    f->server = http_server_start(&http_options, handle, f, &err);
    assert_non_null(f->server);
}

static void stop(struct fixture *f)
{
    http_server_stop(f->server);
    close(f->listen_fd);
    api_free(f->api);
    flow_free(f->flow);
    store_close(f->store);
}

void fixture_start(struct fixture *f)
{
    struct error *err = NULL;

    memset(&seen, 0, sizeof(seen));
    snprintf(f->directory, sizeof(f->directory), "/tmp/api-test-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->socket, sizeof(f->socket), "%s/s", f->directory);
    snprintf(f->database, sizeof(f->database), "%s/db", f->directory);
    assert_int_equal(make_directory(f->database, 0700, &err), 0);
    f->widget = kind_load(str_from(widget_yaml), "widget.yaml", &err);
    if (f->widget == NULL)
        fail_msg("%s", err->message);
    f->workers = workers_new("prepare", 1, &(struct workers_limits){.jobs = 4});
    f->parsers = workers_new("parse", 1, &(struct workers_limits){.jobs = 8, .owner_jobs = 2});
    start(f);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *place)
{
    return remove(path);
}

void fixture_stop(struct fixture *f)
{
    stop(f);
    workers_free(f->parsers);
    workers_free(f->workers);
    kind_free(f->widget);
    nftw(f->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void fixture_restart(struct fixture *f)
{
    stop(f);
    start(f);
}
