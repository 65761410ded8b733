#include "server/gateway/answer.h"

#include "kinds/names.h"
#include "kinds/sandbox.h"
#include "server/gateway/access.h"
#include "server/gateway/room.h"

/*
 * auth_request lets through 2xx, 401 and 403 alone: whatever else is to be said goes into a header, which nginx turns
 * into the answer (nginx.conf.in, @login and @refused).
 */
static void let_through(struct http_exchange *x, const struct endpoint *at)
{
    http_add_header(x, "X-Open-Hydra-Endpoint", at->address);
    if (at->token)
        http_add_header(x, "X-Open-Hydra-Authorization", arena_printf(http_arena(x), "token %s", at->token));
    http_reply(x, 200, "text/plain", STR(""));
}

static void refuse_with_page(struct http_exchange *x, const char *page)
{
    if (page)
        http_add_header(x, "X-Open-Hydra-Page", page);
    http_reply(x, 403, "text/plain", STR(""));
}

static void redirect_visitor(struct http_exchange *x, const char *location)
{
    http_add_header(x, "X-Open-Hydra-Location", location);
    http_reply(x, 401, "text/plain", STR(""));
}

/* A page's script cannot follow: it is told where its user finds a way in (nginx.conf.in, @login). */
static void ask_for_login(struct http_exchange *x, const char *where)
{
    http_add_header(x, "X-Open-Hydra-Login", where);
    http_reply(x, 401, "text/plain", STR(""));
}

static void reply_verdict(struct http_exchange *x, const struct gateway_verdict *v)
{
    if (v->kind == REFUSE)
        refuse_with_page(x, v->page);
    else if (v->kind == REDIRECT)
        redirect_visitor(x, v->location);
    else
        ask_for_login(x, v->location);
}

static bool allows_workers(struct gateway *g, const struct port_device *d)
{
    struct sandbox sandbox;
    _cleanup_object_ struct object *o = d->sandbox ? store_get(g->store, PLURAL_SANDBOXES, str_from(d->sandbox)) : NULL;
    _cleanup_json_ yyjson_doc *doc = o ? json_parse(o->json, NULL) : NULL;

    if (doc == NULL)
        return false;
    sandbox_read(yyjson_doc_get_root(doc), &sandbox);
    return sandbox.allow_service_workers;
}

/* Only a worker's script is worth the look. */
static bool may_be_worker(struct gateway *g, const struct gateway_request *r, const struct port_device *d)
{
    return (r->service_worker.p || r->fetch_dest.p) && d->sandbox && allows_workers(g, d);
}

static void not_here(struct gateway *g, struct http_exchange *x, const struct gateway_request *r, const char *page)
{
    /* The dashboard says what is the matter, and starts it. */
    if (is_navigation(r))
        redirect_visitor(x, dashboard_open_url(&g->site, r, http_arena(x)));
    else
        refuse_with_page(x, page);
}

static void answer_allowed(struct gateway *g, struct http_exchange *x, const struct gateway_request *r,
                           const struct port_device *d, bool last)
{
    struct endpoint at;

    if (d->deleting || d->phase != PHASE_RUNNING) {
        not_here(g, x, r, "starting");
        return;
    }
    if (!last && is_visit(r))
        endpoints_note_visit(g->endpoints, d->uid, gateway_now(g));
    if (endpoints_find(g->endpoints, d->uid, d->endpoint, http_arena(x), &at)) {
        let_through(x, &at);
        return;
    }
    if (!last && waiting_room_enter(g->waiting, x, d->uid))
        return;
    if (endpoints_find(g->endpoints, d->uid, d->endpoint, http_arena(x), &at))
        let_through(x, &at);
    else
        refuse_with_page(x, "starting");
}

/* With the environment's own answer (nginx.conf.in), which sets no cookie. */
static void renew(struct gateway *g, struct http_exchange *x, struct pass *p, int64_t now_us)
{
    if (pass_renew(p, now_us))
        http_add_header(x, "X-Open-Hydra-Set-Cookie",
                        pass_set_cookie(http_arena(x), &g->keys, p, g->site.secure_cookie, now_us));
}

static bool is_allowed(struct gateway *g, struct http_exchange *x, const struct gateway_request *r,
                       const struct port_device *d)
{
    int64_t now = gateway_now(g);
    struct pass p;

    if (g->config->disable_auth)
        return true;
    if (!access_by_cookie(g, r, d, now, http_arena(x), &p))
        return false;
    renew(g, x, &p, now);
    return true;
}

void answer_request(struct gateway *g, struct http_exchange *x, bool last)
{
    struct arena *arena = http_arena(x);
    struct gateway_request r;
    struct port_device d = {0};

    if (gateway_request_read(x, &r) < 0) {
        http_reply(x, 400, "text/plain", STR("not a question of nginx's\n"));
        return;
    }
    bool known = port_index_find(g->ports, r.port, arena, &d);
    struct gateway_verdict v = request_check_source(&g->site, &r, known && may_be_worker(g, &r, &d), arena);
    if (v.kind == PASS && !known)
        not_here(g, x, &r, "nothing-here");
    else if (v.kind == PASS && !is_allowed(g, x, &r, &d)) {
        v = ask_to_log_in(&g->site, &r, arena);
        reply_verdict(x, &v);
    } else if (v.kind != PASS)
        reply_verdict(x, &v);
    else
        answer_allowed(g, x, &r, &d, last);
}
