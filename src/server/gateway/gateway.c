#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "server/gateway/internal.h"

#define SECRET_SCOPE "gateway"
#define SECRET_COOKIE "cookie"
#define UNIX_PATH_MAX 107
#define TOKEN_MAX 256

struct known_endpoint {
    char *socket, *token;
};

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
    pthread_rwlock_init(&g->endpoints_lock, NULL);
    g->endpoints = map_new();
    waiting_start(g);
    return g;
}

static void known_endpoint_free(void *p)
{
    struct known_endpoint *e = p;

    if (e == NULL)
        return;
    if (e->token)
        sodium_memzero(e->token, strlen(e->token));
    free(e->token);
    free(e->socket);
    free(e);
}

void gateway_free(struct gateway *g)
{
    if (g == NULL)
        return;
    waiting_stop(g);
    port_index_free(g->ports);
    tickets_free(g->tickets);
    peers_free(g->peers);
    map_free(g->endpoints, known_endpoint_free);
    pthread_rwlock_destroy(&g->endpoints_lock);
    gateway_site_clear(&g->site);
    sodium_memzero(&g->keys, sizeof(g->keys));
    free(g);
}

/* It becomes part of nginx's proxy_pass: nothing but plain names below our own folder. */
static int check_socket(const struct gateway *g, const char *path, struct error **err)
{
    _cleanup_free_ char *folder = xasprintf("%s/env/", g->config->runtime);

    if (path == NULL || !starts_with(path, folder) || strlen(path) > UNIX_PATH_MAX)
        return error_set(err, REASON_INVALID, "an environment's socket lies below %s, in at most %d bytes", folder,
                         UNIX_PATH_MAX);
    for (const char *c = path + strlen(folder); *c; c++)
        if ((!ascii_isalnum(*c) && !strchr("/._-", *c)) || (*c == '.' && c[1] == '.'))
            return error_set(err, REASON_INVALID,
                             "a socket's path holds letters, digits, \"/\", \".\", \"_\", \"-\" alone");
    return 0;
}

/* It becomes a header's value. */
static int check_token(const char *token, struct error **err)
{
    size_t n = token ? strlen(token) : 0;

    if (n == 0 || n > TOKEN_MAX)
        return error_set(err, REASON_INVALID, "an environment's token has 1 to %d characters", TOKEN_MAX);
    for (const char *c = token; *c; c++)
        if (!ascii_isalnum(*c) && !strchr("-._~+/=", *c))
            return error_set(err, REASON_INVALID, "an environment's token holds a character that none may have");
    return 0;
}

int gateway_set_endpoint(struct gateway *g, const char *device, const struct endpoint *e, struct error **err)
{
    if (e->device_uid == NULL || e->device_uid[0] == '\0')
        return error_set(err, REASON_INVALID, "device %s: an endpoint needs the device's uid", device);
    if (check_socket(g, e->socket, err) < 0 || check_token(e->token, err) < 0)
        return error_wrap(err, "device %s", device);
    struct known_endpoint *known = xcalloc(1, sizeof(*known));
    *known = (struct known_endpoint){xstrdup(e->socket), xstrdup(e->token)};
    pthread_rwlock_wrlock(&g->endpoints_lock);
    known_endpoint_free(map_set(g->endpoints, str_from(e->device_uid), known));
    pthread_rwlock_unlock(&g->endpoints_lock);
    waiting_wake(g, e->device_uid);
    return 0;
}

void gateway_forget_endpoint(struct gateway *g, const char *device_uid)
{
    pthread_rwlock_wrlock(&g->endpoints_lock);
    known_endpoint_free(map_remove(g->endpoints, str_from(device_uid)));
    pthread_rwlock_unlock(&g->endpoints_lock);
}

bool gateway_locate(struct gateway *g, const char *device_uid, struct arena *arena, struct located *out)
{
    pthread_rwlock_rdlock(&g->endpoints_lock);
    const struct known_endpoint *e = map_get(g->endpoints, str_from(device_uid));
    if (e)
        *out = (struct located){arena_strdup(arena, e->socket), arena_strdup(arena, e->token)};
    pthread_rwlock_unlock(&g->endpoints_lock);
    return e != NULL;
}

int64_t gateway_now(const struct gateway *g)
{
    return clock_realtime_us() + atomic_load_explicit(&g->clock_offset_us, memory_order_relaxed);
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

char *gateway_ticket(struct gateway *g, struct object *object, const struct identity *who, int64_t *expires_us,
                     struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = NULL;
    _cleanup_arena_ struct arena *arena = arena_new();
    struct device d;
    struct pass pass;

    if (!find_device(object, &doc, &d, err))
        return NULL;
    const struct port_device at = {
        .name = object->name, .uid = object->uid, .owner = d.owner, .sandbox = d.sandbox, .phase = d.phase};
    if (access_make(g, who, &at, d.port, gateway_now(g), &pass, err) < 0)
        return NULL;
    _cleanup_free_ char *token = tickets_issue(g->tickets, &pass, clock_monotonic_us(), err);
    if (token == NULL)
        return NULL;
    *expires_us = gateway_now(g) + (int64_t)TICKET_SECONDS * 1000000;
    return xasprintf("%s/.open-hydra/open?ticket=%s", environment_origin(&g->site, arena, d.port), token);
}
