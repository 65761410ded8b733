#include "server/gateway/gateway.h"

#include <sodium.h>

#include "base/alloc.h"
#include "server/gateway/access.h"
#include "server/gateway/answer.h"
#include "server/gateway/open.h"
#include "server/gateway/room.h"

#define SECRET_SCOPE "gateway"
#define SECRET_COOKIE "cookie"

static int make_key(struct store_txn *t, void *arg, struct error **err)
{
    unsigned char *key = arg;
    struct str kept = txn_secret(t, SECRET_SCOPE, STR(SECRET_COOKIE));

    if (kept.p && kept.n == PASS_KEY_BYTES) {
        memcpy(key, kept.p, PASS_KEY_BYTES);
        return 0;
    }
    crypto_kdf_keygen(key);
    txn_secret_put(t, SECRET_SCOPE, STR(SECRET_COOKIE), (struct str){(const char *)key, PASS_KEY_BYTES});
    return 0;
}

static bool is_told(void *arg, const char *device_uid)
{
    const struct gateway *g = arg;
    return endpoints_has(g->endpoints, device_uid);
}

static void answer_at_last(void *arg, struct http_exchange *x)
{
    answer_request(arg, x, true);
}

struct gateway *gateway_new(const struct config *config, struct store *store, struct identifier *identifier,
                            struct error **err)
{
    unsigned char master[PASS_KEY_BYTES];

    if (store_run(store, make_key, master, err) < 0)
        return NULL;
    struct gateway *g = xcalloc(1, sizeof(*g));
    pass_keys_derive(&g->keys, master);
    sodium_memzero(master, sizeof(master));
    g->config = config;
    g->store = store;
    g->identifier = identifier;
    gateway_site_init(&g->site, config);
    g->ports = port_index_new(store, config->environments.first, config->environments.last);
    g->tickets = tickets_new();
    g->peers = peers_new(-1);
    g->endpoints = endpoints_new();
    g->waiting = waiting_room_new(&(struct waiting_ops){is_told, answer_at_last, g});
    return g;
}

void gateway_free(struct gateway *g)
{
    if (g == NULL)
        return;
    waiting_room_free(g->waiting);
    port_index_free(g->ports);
    tickets_free(g->tickets);
    peers_free(g->peers);
    endpoints_free(g->endpoints);
    gateway_site_clear(&g->site);
    sodium_memzero(&g->keys, sizeof(g->keys));
    free(g);
}

static int check_names(const struct endpoint *list, size_t n, struct error **err)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (streq(list[i].name, list[j].name))
                return error_set(err, REASON_INVALID, "name: there are two of \"%s\"", list[i].name);
    return 0;
}

int gateway_set_endpoints(struct gateway *g, const char *device_uid, const struct endpoint *list, size_t n,
                          struct error **err)
{
    if (device_uid == NULL || device_uid[0] == '\0')
        return error_set(err, REASON_INVALID, "endpoints need their device's uid");
    if (n == 0 || n > ENDPOINTS_MAX)
        return error_set(err, REASON_INVALID, "a device has 1 to %d endpoints", ENDPOINTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (endpoint_check(g->config, &list[i], err) < 0)
            return error_wrap(err, "endpoints[%zu]", i);
    if (check_names(list, n, err) < 0)
        return -1;
    endpoints_set(g->endpoints, device_uid, list, n);
    waiting_room_wake(g->waiting, device_uid);
    return 0;
}

void gateway_forget_endpoints(struct gateway *g, const char *device_uid)
{
    endpoints_forget(g->endpoints, device_uid);
}

int64_t gateway_last_visit(struct gateway *g, const char *device_uid)
{
    return endpoints_last_visit(g->endpoints, device_uid);
}

void gateway_set_peers(struct gateway *g, int fd)
{
    peers_free(g->peers);
    g->peers = peers_new(fd);
}

void gateway_move_clock(struct gateway *g, int64_t us)
{
    atomic_store(&g->clock_offset_us, us);
}

void gateway_handle(struct gateway *g, struct http_exchange *x)
{
    if (str_is(http_path(x), "/auth"))
        answer_request(g, x, false);
    else if (str_is(http_path(x), "/open"))
        open_request(g, x);
    else
        http_reply(x, 404, "text/plain", STR("not found\n"));
}

static bool find_device(const struct object *object, yyjson_doc **doc, struct device *d, struct error **err)
{
    *doc = json_parse(object->json, err);
    if (*doc == NULL)
        return false;
    device_read(yyjson_doc_get_root(*doc), d);
    if (d->deleting)
        error_set(err, REASON_CONFLICT, "device \"%s\" is being stopped", object->name);
    else if (d->port == 0)
        error_set(err, REASON_CONFLICT, "device \"%s\" has no address: every port of the range is another's",
                  object->name);
    return !d->deleting && d->port != 0;
}

static bool has_port(const struct device *d, uint16_t port, struct error **err)
{
    struct device_port ports[DEVICE_PORTS_MAX];
    size_t n = device_ports(d, ports);

    for (size_t i = 0; i < n; i++)
        if (ports[i].port == port)
            return true;
    error_add_cause(err, "spec.port", "FieldValueInvalid", "Invalid value: %u: none of the device's ports", port);
    return false;
}

char *gateway_ticket(struct gateway *g, struct object *object, uint16_t port, const struct identity *who,
                     int64_t *expires_us, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = NULL;
    _cleanup_arena_ struct arena *arena = arena_new();
    struct device d;
    struct pass pass;

    if (!find_device(object, &doc, &d, err))
        return NULL;
    port = port ? port : d.port;
    if (!has_port(&d, port, err))
        return NULL;
    const struct port_device at = {
        .name = object->name, .uid = object->uid, .owner = d.owner, .sandbox = d.sandbox, .phase = d.phase};
    if (access_make(g, who, &at, port, gateway_now(g), &pass, err) < 0)
        return NULL;
    _cleanup_free_ char *token = tickets_issue(g->tickets, &pass, clock_monotonic_us(), err);
    if (token == NULL)
        return NULL;
    *expires_us = gateway_now(g) + (int64_t)TICKET_SECONDS * 1000000;
    return xasprintf("%s/.open-hydra/open?ticket=%s", environment_origin(&g->site, arena, port), token);
}
