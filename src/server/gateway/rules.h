#pragma once

#include "base/arena.h"
#include "config/config.h"
#include "http/http.h"

/*
 * The questions that come before «who is it»: whether a browser may have been made to send this by somebody else's
 * page. What runs in an environment is hostile to its visitors, and cookies know no ports, so each rule here closes a
 * hole that was seen open. The injected token switches Jupyter's own checks off: nothing behind us looks at an Origin
 * again.
 */
struct gateway_request {
    struct str method, uri, host; /* as the client sent them; p == NULL: absent */
    uint16_t port;                /* of the environment */
    struct str scheme;            /* by which the client came */
    bool proxied;                 /* by a proxy of trustedProxies */
    struct str origin, fetch_site, fetch_mode, fetch_dest, service_worker, upgrade, accept, cookie;
    struct str address, browser; /* the client's: X-Real-IP, which nginx writes, and its User-Agent */
    /* Both ends of the connection, whose other end is a proxy's where one stands before us. */
    struct str peer_address, own_address;
    uint16_t peer_port, own_port;
};
/* From the headers that nginx writes (nginx.conf.in). Returns -1 where there is no port, method or address. */
int gateway_request_read(const struct http_exchange *x, struct gateway_request *out) _must_check_;

/* How we are known; made once. */
struct gateway_site {
    const struct config *config;
    char *dashboard;    /* the dashboard's origin */
    bool secure_cookie; /* browsers take Secure cookies here: TLS, or a loopback address */
};
void gateway_site_init(struct gateway_site *s, const struct config *config);
void gateway_site_clear(struct gateway_site *s);

enum verdict_kind {
    PASS,
    REFUSE,   /* 403, with a page of deploy/pages */
    LOGIN,    /* 401; `location`: where a person logs in */
    REDIRECT, /* to `location` */
};
struct gateway_verdict {
    enum verdict_kind kind;
    const char *page;     /* REFUSE: one of the names in nginx.conf.in; NULL: forbidden */
    const char *location; /* in the arena */
};

/* A person in front of a browser, in a tab of its own: worth a redirect or a page. */
bool is_navigation(const struct gateway_request *r);
/* Somebody does something; an open page that only looks whether there is news asks by GET. */
bool is_work(const struct gateway_request *r);
/* The same, but for what an open tab does by itself: a WebSocket that is opened again. */
bool is_visit(const struct gateway_request *r);
/* "http://127.0.0.1:31000", of the environment at that port; in the arena. */
const char *environment_origin(const struct gateway_site *s, struct arena *arena, uint16_t port);

/* Rule 1: the Host is one of ours, and the first of these. */
struct gateway_verdict request_check_host(const struct gateway_site *s, const struct gateway_request *r,
                                          struct arena *arena);
/* Rules 1 to 4, for what goes to an environment. */
struct gateway_verdict request_check_source(const struct gateway_site *s, const struct gateway_request *r,
                                            bool allow_workers, struct arena *arena);
/* Rule 2 and 3 for the redemption of a ticket: the dashboard's page may do it, and a person who follows a link. */
bool may_redeem(const struct gateway_site *s, const struct gateway_request *r, struct arena *arena);
/* Rule 5: to the dashboard, and back once there is a right; who cannot follow is told 401. */
struct gateway_verdict ask_to_log_in(const struct gateway_site *s, const struct gateway_request *r,
                                     struct arena *arena);
const char *dashboard_open_url(const struct gateway_site *s, const struct gateway_request *r, struct arena *arena);
/* A path of the same origin ("/lab?x"), fit for a Location header; "/" for anything else. */
const char *safe_path(struct arena *arena, struct str path);
