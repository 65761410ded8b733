/*
 * What nginx tells us of a stranger's request: the rules, the redirects made from its address, and its cookies. One
 * header in each line, in the order of struct gateway_request: method, address, Host, Origin, Sec-Fetch-Site, -Mode,
 * -Dest, Service-Worker, Upgrade, Accept, Cookie; an empty line: absent.
 */
#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

#include "fuzz/fuzz.h"
#include "server/gateway/pass.h"
#include "server/gateway/rules.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct gateway_site site;
static struct pass_keys keys;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const unsigned char master[PASS_KEY_BYTES] = {1};
    const struct config_flags flags = {.data = "/tmp/fuzz/data", .environment_listen = "127.0.0.1:31000-31099"};
    struct error *err = NULL;

    if (sodium_init() < 0)
        abort();
    pass_keys_derive(&keys, master);
    struct config *config = config_load(&flags, &err);
    if (config == NULL)
        abort();
    gateway_site_init(&site, config);
    return 0;
}

/* Nothing of the request may end a header's line, or lead to another origin. */
static void check_location(const char *location)
{
    const char *own = "http://127.0.0.1:31001/", *dashboard = "http://127.0.0.1:30001/open?to=";

    if (!starts_with(location, own) && !starts_with(location, dashboard))
        abort();
    for (const char *c = location; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            abort();
}

static void check_verdict(const struct gateway_request *r, const struct gateway_verdict *v)
{
    if (v->kind == REDIRECT)
        check_location(v->location);
    if (v->kind != PASS)
        return;
    bool reads = str_is(r->method, "GET") || str_is(r->method, "HEAD");
    if (r->origin.p && (!reads || r->upgrade.p) && strncasecmp(r->origin.p, "http://127.0.0.1:31001", r->origin.n) != 0)
        abort();
    if (r->fetch_site.p && !reads && !str_is(r->fetch_site, "same-origin") && !str_is(r->fetch_site, "none"))
        abort();
    if (r->service_worker.p)
        abort();
}

/* An input that is sealed by itself must open again as it was; nothing else may. */
static void check_passes(struct arena *arena, struct str cookies)
{
    struct pass p, again;

    while (pass_next(arena, &keys, &cookies, true, 31001, &p) == 0)
        if (pass_open(arena, &keys, str_from(pass_seal(arena, &keys, &p)), &again) < 0 || again.device != p.device)
            abort();
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct gateway_request r = {.port = 31001};
    struct str *fields[] = {&r.method,     &r.uri,        &r.host,       &r.origin,
                            &r.fetch_site, &r.fetch_mode, &r.fetch_dest, &r.service_worker,
                            &r.upgrade,    &r.accept,     &r.cookie};
    struct str rest = {(const char *)data, size}, line;
    _cleanup_arena_ struct arena *arena = arena_new();

    for (size_t i = 0; i < ARRAY_SIZE(fields) && str_split(&rest, '\n', &line); i++)
        if (line.n)
            *fields[i] = line;
    if (r.method.p == NULL || r.uri.p == NULL)
        return;
    struct gateway_verdict v = request_check_source(&site, &r, false, arena);
    check_verdict(&r, &v);
    v = ask_to_log_in(&site, &r, arena);
    if (v.kind == REDIRECT)
        check_location(v.location);
    (void)may_redeem(&site, &r, arena);
    check_passes(arena, r.cookie);
}
