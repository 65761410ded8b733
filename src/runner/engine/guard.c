#include "runner/engine/guard.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "runner/engine/network.h"

#define INIT_MS 60000
#define MAX_RESOLV_CONF 65536

/* Words of a text, as a list in the arena. */
static const char *const *words(struct arena *a, struct str text, size_t *n)
{
    const char **out = arena_alloc(a, (text.n / 2 + 1) * sizeof(*out));
    struct str word;

    *n = 0;
    while (str_split(&text, ' ', &word))
        if (word.n)
            out[(*n)++] = arena_strndup(a, word.p, word.n);
    return out;
}

static int pid_of(yyjson_val *container)
{
    return (int)json_int_at(container, "State.Pid", 0);
}

/* In whose namespace that environment's rules were made, and for which addresses of this machine: started again by
 * somebody else, it would be in another without any. */
static void remember_rules(struct engine *e, const char *instance, int pid, const char *addresses)
{
    LOCK_SCOPE(&e->lock);
    free(map_set(e->guarded, str_from(instance), xasprintf("%d %s", pid, addresses)));
}

void engine_network_forget(struct engine *e, const char *instance)
{
    LOCK_SCOPE(&e->lock);
    free(map_remove(e->guarded, str_from(instance)));
}

static bool is_guarded(struct engine *e, const char *instance, int pid, const char *addresses)
{
    _cleanup_free_ char *wanted = xasprintf("%d %s", pid, addresses);
    LOCK_SCOPE(&e->lock);
    return streq(map_get(e->guarded, str_from(instance)), wanted);
}

static int set_rules(struct engine *e, const char *instance, yyjson_val *container, const char *addresses,
                     struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    const char *allowed = yyjson_get_str(yyjson_obj_get(json_at(container, "Config.Labels"), LABEL_NETWORK));
    const char *path = json_str_at(container, "ResolvConfPath");
    _cleanup_free_ char *resolv = path ? read_file(path, MAX_RESOLV_CONF, NULL, NULL) : NULL;
    struct network_rules r = {0};

    r.hosts = words(a, str_from(addresses), &r.hosts_len);
    r.allowed = words(a, str_from(allowed ? allowed : ""), &r.allowed_len);
    r.name_servers = network_name_servers(a, str_from(resolv), &r.name_servers_len);
    if (network_guard(pid_of(container), &r, err) < 0)
        return -1;
    remember_rules(e, instance, pid_of(container), addresses);
    return 0;
}

int engine_network_prepare(struct engine *e, struct arena *a, const char *instance, struct error **err)
{
    struct request init = {
        "POST", arena_printf(a, LIBPOD "/containers/%s/init", container_name(a, instance)), NULL, INIT_MS, {204, 304}};
    _cleanup_free_ char *addresses = network_own_addresses();
    _cleanup_json_ yyjson_doc *doc = NULL;

    if (!e->libpod || addresses == NULL)
        return error_set(err, REASON_FORBIDDEN, "no rules can be set here for what an environment may reach");
    if (engine_request(e, &init, NULL, err) < 0 || engine_inspect(e, a, instance, &doc, err) < 0)
        return -1;
    return set_rules(e, instance, yyjson_doc_get_root(doc), addresses, err);
}

void engine_network_refresh(struct engine *e, const char *instance, yyjson_val *container)
{
    _cleanup_free_ char *addresses = NULL;
    _cleanup_error_ struct error *err = NULL;

    if (yyjson_obj_get(json_at(container, "Config.Labels"), LABEL_NETWORK) == NULL)
        return;
    addresses = network_own_addresses();
    if (addresses && !is_guarded(e, instance, pid_of(container), addresses) &&
        set_rules(e, instance, container, addresses, &err) < 0)
        log_warning("%s: %s", instance, err->message);
}
