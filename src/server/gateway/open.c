#include "server/gateway/open.h"

#include "server/api/over_http.h"
#include "server/gateway/access.h"
#include "server/gateway/room.h"

/*
 * A ticket's link, at the environment's own port. The dashboard redeems it by fetch before it opens the page: a service
 * worker that an earlier owner of the port left in the browser sees what a page loads, and so would see the ticket, but
 * not what another origin's page fetches. Clear-Site-Data then ends that worker, and drops what else it left.
 */
static void allow_dashboard(struct http_exchange *x, const struct gateway_request *r)
{
    http_add_header(x, "Vary", "Origin");
    if (r->origin.p == NULL)
        return;
    /* As it came: browsers compare it byte by byte, and write hosts in lower case. */
    http_add_header(x, "Access-Control-Allow-Origin", arena_str(http_arena(x), r->origin).p);
    http_add_header(x, "Access-Control-Allow-Credentials", "true");
}

static void forbid_opening(struct http_exchange *x, const char *message)
{
    struct error *err = NULL;

    error_set(&err, REASON_FORBIDDEN, "%s", message);
    api_reply_error(x, err);
}

static void answer_preflight(struct http_exchange *x)
{
    http_add_header(x, "Access-Control-Allow-Methods", "POST");
    http_add_header(x, "Access-Control-Allow-Headers", "Content-Type");
    http_add_header(x, "Access-Control-Max-Age", "600");
    http_reply(x, 204, "text/plain", STR(""));
}

static void redirect_to(struct http_exchange *x, const char *location)
{
    http_add_header(x, "Location", location);
    http_reply(x, 302, "text/plain", STR(""));
}

static bool redeem_ticket(struct gateway *g, struct http_exchange *x, const struct gateway_request *r,
                          struct port_device *d, struct pass *p)
{
    const char *ticket = http_query(x, "ticket");
    const struct access at = {r->port, gateway_now(g), true};

    return ticket && port_index_find(g->ports, r->port, http_arena(x), d) &&
           tickets_redeem(g->tickets, str_from(ticket), r->port, clock_monotonic_us(), http_arena(x), p) == 0 &&
           access_allowed(g, p, d, &at);
}

/* So that the cookies stay well below what a header may hold: the ones that expire first go. */
static void take_back_cookies(struct gateway *g, struct http_exchange *x, const struct gateway_request *r)
{
    struct arena *arena = http_arena(x);
    struct pass held[2 * PASSES_MAX], p;
    struct str cookies = r->cookie;
    size_t n = 0, oldest;

    while (n < ARRAY_SIZE(held) && pass_next(arena, &g->keys, &cookies, g->site.secure_cookie, 0, &p) == 0)
        if (p.port != r->port)
            held[n++] = p;
    for (; n >= PASSES_MAX; n--) {
        oldest = 0;
        for (size_t i = 1; i < n; i++)
            if (held[i].expires_us < held[oldest].expires_us)
                oldest = i;
        http_add_header(x, "Set-Cookie", pass_end_cookie(arena, g->site.secure_cookie, held[oldest].port));
        held[oldest] = held[n - 1];
    }
}

/* Never "*" and never "cookies", which would log the dashboard out. The cache too, where the port was perhaps another's
 * when this browser saw it last: a page of his may lie there for years. */
static void welcome_visitor(struct gateway *g, struct http_exchange *x, const struct gateway_request *r,
                            const struct port_device *d, struct pass *p)
{
    struct arena *arena = http_arena(x);
    int64_t now = gateway_now(g);

    /* Without log-ins everybody may: a cookie would outlive that setting. */
    if (!g->config->disable_auth) {
        take_back_cookies(g, x, r);
        access_bind(g, r, now, arena, p);
        http_add_header(x, "Set-Cookie", pass_set_cookie(arena, &g->keys, p, g->site.secure_cookie, now));
    }
    http_add_header(x, "Clear-Site-Data",
                    access_seen_before(g, r, d, arena) ? "\"storage\"" : "\"cache\", \"storage\"");
}

static const char *wanted_page(struct gateway *g, struct http_exchange *x, const struct gateway_request *r)
{
    struct arena *arena = http_arena(x);
    const char *path = http_query(x, "path");

    return arena_printf(arena, "%s%s", environment_origin(&g->site, arena, r->port),
                        safe_path(arena, str_from(path ? path : "/")));
}

/* By fetch, from the dashboard's page. */
static void answer_fetch(struct gateway *g, struct http_exchange *x, const struct gateway_request *r)
{
    struct port_device d;
    struct pass p;

    if (!redeem_ticket(g, x, r, &d, &p)) {
        forbid_opening(x, "the link has been used, has expired, or is not for this environment");
        return;
    }
    welcome_visitor(g, x, r, &d, &p);
    http_reply(x, 204, "text/plain", STR(""));
}

/* A person, or a plain client. A link that was used already is no dead end: with the cookie it goes on, without to the
 * dashboard. */
static void answer_visit(struct gateway *g, struct http_exchange *x, struct gateway_request *r)
{
    const char *to = wanted_page(g, x, r);
    struct port_device d = {0};
    struct pass p;

    if (redeem_ticket(g, x, r, &d, &p)) {
        welcome_visitor(g, x, r, &d, &p);
        redirect_to(x, to);
    } else if (d.uid && access_by_cookie(g, r, &d, gateway_now(g), http_arena(x), &p)) {
        redirect_to(x, to);
    } else if (is_navigation(r)) {
        r->uri = str_from(to + strlen(environment_origin(&g->site, http_arena(x), r->port)));
        redirect_to(x, dashboard_open_url(&g->site, r, http_arena(x)));
    } else {
        forbid_opening(x, "the link has been used, has expired, or is not for this environment");
    }
}

void open_request(struct gateway *g, struct http_exchange *x)
{
    struct gateway_request r;

    if (gateway_request_read(x, &r) < 0) {
        http_reply(x, 400, "text/plain", STR("not a question of nginx's\n"));
        return;
    }
    http_add_header(x, "Cache-Control", "no-store");
    http_add_header(x, "Referrer-Policy", "no-referrer");
    struct gateway_verdict host = request_check_host(&g->site, &r, http_arena(x));
    if (host.kind == REDIRECT) {
        redirect_to(x, host.location);
        return;
    }
    if (host.kind != PASS || !may_redeem(&g->site, &r, http_arena(x))) {
        forbid_opening(x, "a page of another site, or another name, may not do this");
        return;
    }
    if (str_is(r.method, "GET")) {
        answer_visit(g, x, &r);
        return;
    }
    allow_dashboard(x, &r);
    if (str_is(r.method, "OPTIONS"))
        answer_preflight(x);
    else
        answer_fetch(g, x, &r);
}
