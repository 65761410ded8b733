#include "server/hooks/allocation.h"

#include <stdio.h>

#include "base/clock.h"

#define HOST_IDS "host-id"
#define PORTS "port"
#define HOLDERS "port-holder" /* port → time of release in µs (0: held) */
#define COUNTERS "counter"    /* the next number never given */

static uint64_t get_number(struct store_txn *t, const char *scope, const char *key, uint64_t otherwise)
{
    struct str value = txn_secret(t, scope, str_from(key));
    unsigned long long number;

    return value.p && str_to_u64(value, UINT64_MAX, &number) == 0 ? number : otherwise;
}

static void put_number(struct store_txn *t, const char *scope, const char *key, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    txn_secret_put(t, scope, str_from(key), str_from(text));
}

bool has_host_ids(struct store_txn *t, const char *user)
{
    return txn_secret(t, HOST_IDS, str_from(user)).p != NULL;
}

int allocate_host_ids(struct store_txn *t, const struct config *c, const char *user, uint32_t *first,
                      struct error **err)
{
    uint64_t range = get_number(t, HOST_IDS, user, 0);

    if (range == 0) {
        /* Range 0 holds the service users. */
        range = get_number(t, COUNTERS, HOST_IDS, 1);
        if (range >= c->host_id_count)
            return error_add_cause(err, "spec.openHydraUsername", "FieldValueInvalid",
                                   "all %u ranges of host ids are given to users (hostIdRanges)", c->host_id_count);
        put_number(t, COUNTERS, HOST_IDS, range + 1);
        put_number(t, HOST_IDS, user, range);
    }
    *first = (uint32_t)(c->host_id_base + range * c->host_id_size);
    return 0;
}

static bool is_offered(const struct hook_context *context, uint64_t port)
{
    const struct listen_address *range = &context->config->environments;

    for (size_t i = 0; i < context->excluded_ports_len; i++)
        if (context->excluded_ports[i] == port)
            return false;
    return port >= range->first && port <= range->last;
}

static uint64_t never_given(struct store_txn *t, const struct hook_context *context)
{
    const struct listen_address *range = &context->config->environments;
    char key[8];

    for (uint64_t port = range->first; port <= range->last; port++) {
        snprintf(key, sizeof(key), "%u", (unsigned)port);
        if (is_offered(context, port) && txn_secret(t, HOLDERS, str_from(key)).p == NULL)
            return port;
    }
    return 0;
}

struct oldest {
    const struct hook_context *context;
    uint64_t port, since;
};

static bool consider(void *arg, struct str key, struct str value)
{
    struct oldest *best = arg;
    unsigned long long port, since;

    if (str_to_u64(key, 65535, &port) < 0 || str_to_u64(value, UINT64_MAX, &since) < 0)
        return true;
    if (since != 0 && is_offered(best->context, port) && (best->port == 0 || since < best->since)) {
        best->port = port;
        best->since = since;
    }
    return true;
}

static uint64_t longest_free(struct store_txn *t, const struct hook_context *context)
{
    struct oldest best = {.context = context};

    txn_secret_list(t, HOLDERS, consider, &best);
    return best.port;
}

uint16_t allocate_port(struct store_txn *t, const struct hook_context *context, const char *user)
{
    char key[8];
    uint64_t port = get_number(t, PORTS, user, 0);

    if (is_offered(context, port))
        return (uint16_t)port;
    release_port(t, user); /* one that is another program's by now, or out of the range: free, should it come back */
    port = never_given(t, context);
    if (port == 0)
        port = longest_free(t, context);
    if (port == 0)
        return 0;
    snprintf(key, sizeof(key), "%u", (unsigned)port);
    put_number(t, HOLDERS, key, 0);
    put_number(t, PORTS, user, port);
    return (uint16_t)port;
}

void release_port(struct store_txn *t, const char *user)
{
    char key[8];
    uint64_t port = get_number(t, PORTS, user, 0);

    if (port == 0)
        return;
    snprintf(key, sizeof(key), "%u", (unsigned)port);
    put_number(t, HOLDERS, key, (uint64_t)clock_realtime_us());
    txn_secret_delete(t, PORTS, str_from(user));
}
