#include "unit/hooks/world.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "server/api/over_http.h"
#include "server/identity/roles.h"

struct world world;

static void handle(struct http_exchange *x, void *arg)
{
    const char *role = http_header(x, "X-Role"), *name = http_header(x, "X-User");
    _cleanup_free_ char *uid = name ? uid_of(PLURAL_USERS, name) : NULL;
    struct identity who = {.name = name ? name : "tester", .role = role ? role[0] - '0' : ROLE_ADMIN, .uid = uid};

    if (streq(name, RUNNER))
        who.role = ROLE_RUNNER;
    if (uid && world.session[0])
        who.session = world.session;
    api_handle(world.f.api, x, &who);
}

static void configure(unsigned ports, unsigned ranges)
{
    static char loopback[] = "127.0.0.1", sandbox[] = "jupyter-lab", nvidia[] = "nvidia.com/gpu", amd[] = "amd.com/gpu";

    world.hosts[0] = loopback;
    world.gpu_resources[0] = nvidia;
    world.gpu_resources[1] = amd;
    world.config = (struct config){.data = world.f.directory,
                                   .runtime = world.f.directory,
                                   .hosts = world.hosts,
                                   .default_sandbox = sandbox,
                                   .gpu_driver = nvidia,
                                   .gpu_resources = world.gpu_resources,
                                   .default_cpu_milli = 2000,
                                   .default_ram_mib = 8192,
                                   .host_id_base = 1879048192,
                                   .host_id_size = 65536,
                                   .host_id_count = ranges,
                                   .session_seconds = 3600};
    world.config.dashboard = (struct listen_address){loopback, 30001, 30001};
    world.config.environments = (struct listen_address){loopback, 31000, (uint16_t)(31000 + ports - 1)};
}

static void load_kinds(void)
{
    static const char *const names[] = {"openhydrauser", "device", "sandbox", "host"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        for (size_t j = 0; j < kind_sources_len; j++)
            if (streq(kind_sources[j].name, names[i]))
                world.kinds[i] = kind_load(kind_sources[j].yaml, names[i], NULL);
}

static void start_rooms(void)
{
    struct fixture *f = &world.f;

    f->workers = workers_new("prepare", 1, &(struct workers_limits){.jobs = 16});
    world.accounts = accounts_new(&world.config, f->store, f->workers);
    world.identifier = identifier_new(world.accounts);
    world.gateway = gateway_new(&world.config, f->store, world.identifier, NULL);
    assert_non_null(world.gateway);
    world.context = (struct hook_context){.config = &world.config,
                                          .store = f->store,
                                          .accounts = world.accounts,
                                          .identifier = world.identifier,
                                          .gateway = world.gateway,
                                          .excluded_ports = world.excluded,
                                          .logs_socket = "/nowhere",
                                          .runner_present = &world.runner_present};
    const struct api_resource resources[] = {{world.kinds[0], &user_hooks},
                                             {world.kinds[1], &device_hooks},
                                             {world.kinds[2], &sandbox_hooks},
                                             {world.kinds[3], &host_hooks}};
    const struct api_options options = {.store = f->store,
                                        .resources = resources,
                                        .resources_len = ARRAY_SIZE(resources),
                                        .authorize = roles_authorize,
                                        .workers = f->workers,
                                        .context = &world.context,
                                        .version = "0"};
    f->api = api_new(&options, NULL);
    assert_non_null(f->api);
}

static void listen_on(struct fixture *f)
{
    f->listen_fd = listen_unix(f->socket, 0600, NULL);
    assert_true(f->listen_fd >= 0);
    const struct http_options options = {.listen_fd = f->listen_fd,
                                         .role = HTTP_GATEWAY,
                                         .peer_uid = (uid_t)-1,
                                         .max_connections = 256,
                                         .max_body = 1 << 20,
                                         .idle_seconds = 60};
    f->server = http_server_start(&options, handle, NULL, NULL);
    assert_non_null(f->server);
}

static void start_all(void)
{
    const struct store_options options = {.directory = world.f.directory, .no_sync = true};
    _cleanup_error_ struct error *err = NULL;

    world.f.store = store_open(&options, &err);
    assert_non_null(world.f.store);
    start_rooms();
    listen_on(&world.f);
}

void world_start(unsigned ports, unsigned ranges)
{
    struct fixture *f = &world.f;

    assert_true(sodium_init() >= 0);
    memset(&world, 0, sizeof(world));
    snprintf(f->directory, sizeof(f->directory), "/tmp/hooks-test-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->socket, sizeof(f->socket), "%s/s", f->directory);
    configure(ports, ranges);
    load_kinds();
    start_all();
    create(201, "sandboxes",
           "{\"metadata\":{\"name\":\"jupyter-lab\"},\"spec\":{\"cpuImageName\":\"a:b\",\"socket\":\"/run/a/s\"}}");
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *place)
{
    return remove(path);
}

static void stop_all(void)
{
    struct fixture *f = &world.f;

    http_server_stop(f->server);
    close(f->listen_fd);
    workers_free(f->workers);
    api_free(f->api);
    gateway_free(world.gateway);
    identifier_free(world.identifier);
    store_close(f->store);
    accounts_free(world.accounts);
}

void world_stop(void)
{
    stop_all();
    for (size_t i = 0; i < ARRAY_SIZE(world.kinds); i++)
        kind_free(world.kinds[i]);
    nftw(world.f.directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int put_damaged(struct store_txn *t, void *name, struct error **err)
{
    txn_put(t, PLURAL_DEVICES, name, "uid", STR("{\"metadata\":"));
    return 0;
}

void world_restart(void)
{
    stop_all();
    start_all();
}

void world_restart_with_damaged(char *device)
{
    assert_int_equal(store_run(world.f.store, put_damaged, device, NULL), 0);
    world_restart();
}

/* --- Requests --- */

static struct answer *ask(long code, struct call c, const char *path)
{
    _cleanup_free_ char *whole = xasprintf(GROUP "%s", path);

    c.path = whole;
    return expect(code, call(&world.f, &c));
}

struct answer *get(long code, const char *path)
{
    return ask(code, (struct call){0}, path);
}

struct answer *create(long code, const char *path, const char *body)
{
    return ask(code, (struct call){.method = "POST", .body = body}, path);
}

struct answer *create_as(const char *user, int role, long code, const char *path, const char *body)
{
    return ask(code, (struct call){.method = "POST", .body = body, .user = user, .role = role}, path);
}

struct answer *patch_as(const char *user, long code, const char *path, const char *body)
{
    return ask(code,
               (struct call){.method = "PATCH", .body = body, .type = "application/merge-patch+json", .user = user},
               path);
}

struct answer *patch_as_student(const char *user, long code, const char *path, const char *body)
{
    return ask(
        code,
        (struct call){.method = "PATCH", .body = body, .type = "application/merge-patch+json", .user = user, .role = 2},
        path);
}

struct answer *patch(long code, const char *path, const char *body)
{
    return patch_as(NULL, code, path, body);
}

struct answer *delete_(long code, const char *path)
{
    return ask(code, (struct call){.method = "DELETE"}, path);
}

void make_user(const char *name, int role, const char *password)
{
    _cleanup_free_ char *body =
        xasprintf("{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"role\":%d%s%s%s}}", name, role,
                  password ? ",\"password\":\"" : "", password ? password : "", password ? "\"" : "");

    create(201, "openhydrausers", body);
}

void make_device(long code, const char *owner)
{
    _cleanup_free_ char *body =
        xasprintf("{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"openHydraUsername\":\"%s\"}}", owner, owner);

    create(code, "devices", body);
}

int64_t port_of(const char *device)
{
    _cleanup_free_ char *path = xasprintf("devices/%s", device);

    return answer_int(get(200, path), "status.port");
}

void runner_lets_go(const char *device)
{
    _cleanup_free_ char *path = xasprintf("devices/%s", device);
    struct answer *a = get(200, path);
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(4096);
    yyjson_val *one;
    size_t i, n;

    buffer_puts(&b, "{\"metadata\":{\"finalizers\":[");
    yyjson_arr_foreach (json_at(yyjson_doc_get_root(a->doc), "metadata.finalizers"), i, n, one) {
        if (!yyjson_equals_str(one, OURS))
            buffer_printf(&b, "%s\"%s\"", b.p[b.n - 1] == '[' ? "" : ",", yyjson_get_str(one));
    }
    buffer_puts(&b, "]}}");
    patch_as(RUNNER, 200, path, buffer_str(&b).p);
}

/* --- Beside the API --- */

char *uid_of(const char *collection, const char *name)
{
    _cleanup_object_ struct object *o = store_get(world.f.store, collection, str_from(name));

    return o ? xstrdup(o->uid) : NULL;
}

char *secret(const char *scope, const char *key)
{
    size_t n;

    return store_secret(world.f.store, scope, str_from(key), &n);
}

static int put_session(struct store_txn *t, void *arg, struct error **err)
{
    sessions_put(world.accounts->sessions, t, arg);
    return 0;
}

char *log_in(const char *user)
{
    _cleanup_free_ char *uid = uid_of(PLURAL_USERS, user), *token = NULL, *key = NULL;
    const struct session_options o = {
        .user_uid = uid, .user_name = user, .now_us = clock_realtime_us(), .seconds = 3600};
    _cleanup_session_ struct session *s = session_new(&o, &token, &key);

    assert_int_equal(store_run(world.f.store, put_session, s, NULL), 0);
    return xstrdup(s->id);
}

bool is_logged_in(const char *session)
{
    _cleanup_session_ struct session *s = sessions_by_id(world.accounts->sessions, session, clock_realtime_us());

    return s != NULL;
}
