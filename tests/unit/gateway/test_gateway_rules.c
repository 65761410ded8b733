/* Which requests a browser may have been made to send by somebody else's page: rules 1 to 5 of rules.h, row by row. */
#include "unit/gateway/configured.h"

#include "base/alloc.h"
#include "server/gateway/rules.h"

#define PORT 31001
#define OWN "http://127.0.0.1:31001"
#define OTHER "http://127.0.0.1:31002"

struct scene {
    struct config *config;
    struct gateway_site site;
    struct arena *arena;
};
static struct scene s;

static void arrange(const char *yaml)
{
    s.config = configured(yaml);
    gateway_site_init(&s.site, s.config);
    s.arena = arena_new();
}

static int setup(void **state)
{
    arrange(LOOPBACK);
    return 0;
}

static int teardown(void **state)
{
    gateway_site_clear(&s.site);
    config_free(s.config);
    arena_free(s.arena);
    return 0;
}

static struct gateway_request request(const char *method, const char *uri)
{
    return (struct gateway_request){.method = str_from(method),
                                    .uri = str_from(uri),
                                    .host = STR("127.0.0.1:31001"),
                                    .port = PORT,
                                    .own_port = PORT};
}

static struct gateway_request fetched(struct gateway_request r, const char *site, const char *mode, const char *dest)
{
    r.fetch_site = str_from(site);
    r.fetch_mode = str_from(mode);
    r.fetch_dest = str_from(dest);
    return r;
}

static enum verdict_kind verdict(struct gateway_request r)
{
    return request_check_source(&s.site, &r, false, s.arena).kind;
}

static void plain_client_passes(void **state)
{
    assert_int_equal(verdict(request("GET", "/api")), PASS);
    assert_int_equal(verdict(request("POST", "/api")), PASS);
}

static void unknown_host_is_refused(void **state)
{
    struct gateway_request r = request("GET", "/");

    r.host = STR("rebound.example:31001");
    struct gateway_verdict v = request_check_source(&s.site, &r, false, s.arena);
    assert_int_equal(v.kind, REFUSE);
    assert_string_equal(v.page, "bad-host");
    r.host = STR("127.0.0.1:31002");
    assert_int_equal(verdict(r), REFUSE);
    r.host = STR("127.0.0.1");
    assert_int_equal(verdict(r), REFUSE);
    r.host = (struct str){NULL, 0};
    assert_int_equal(verdict(r), REFUSE);
}

static void another_known_name_leads_to_the_first(void **state)
{
    struct gateway_request r = request("GET", "/lab/tree/a b?x=1");

    r.host = STR("localhost:31001");
    struct gateway_verdict v = request_check_source(&s.site, &r, false, s.arena);
    assert_int_equal(v.kind, REDIRECT);
    assert_string_equal(v.location, OWN "/lab/tree/a%20b?x=1");
    r.method = STR("POST");
    assert_int_equal(verdict(r), REFUSE);
    r.method = STR("GET");
    r.upgrade = STR("websocket");
    assert_int_equal(verdict(r), REFUSE);
}

static void host_may_be_written_in_any_case(void **state)
{
    teardown(NULL);
    arrange(SCHOOL);
    struct gateway_request r = request("GET", "/");
    r.host = STR("school.EXAMPLE:31001");
    assert_int_equal(verdict(r), PASS);
    r.method = STR("POST");
    r.origin = STR("https://school.example:31001");
    assert_int_equal(verdict(r), PASS);
}

static void foreign_origin_changes_nothing(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"};
    static const char *const origins[] = {OTHER,
                                          "null",
                                          "http://127.0.0.1:30001",
                                          "https://127.0.0.1:31001",
                                          "http://127.0.0.1:31001.evil.example",
                                          OWN ", " OTHER,
                                          ""};

    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        struct gateway_request r = request(methods[i], "/");
        r.origin = STR(OWN);
        assert_int_equal(verdict(r), PASS);
        for (size_t j = 0; j < ARRAY_SIZE(origins); j++) {
            r.origin = str_from(origins[j]);
            assert_int_equal(verdict(r), REFUSE);
        }
    }
}

static void foreign_origin_may_read_without_saying_so(void **state)
{
    /* What it could learn, Sec-Fetch-Site and the missing CORS headers withhold. */
    struct gateway_request r = request("GET", "/");
    r.origin = STR(OTHER);
    assert_int_equal(verdict(r), PASS);
}

static void websocket_needs_the_own_origin(void **state)
{
    struct gateway_request r = request("GET", "/api/kernels/1/channels");

    r.upgrade = STR("websocket");
    r.origin = STR(OWN);
    assert_int_equal(verdict(r), PASS);
    r.origin = STR(OTHER);
    assert_int_equal(verdict(r), REFUSE);
    r.origin = STR("null");
    assert_int_equal(verdict(r), REFUSE);
    r.upgrade = STR("h2c, WebSocket");
    assert_int_equal(verdict(r), REFUSE);
}

static void other_sites_may_only_navigate(void **state)
{
    static const char *const sites[] = {"same-site", "cross-site", "something-new", "same-origin, same-origin", "nonE"};

    for (size_t i = 0; i < ARRAY_SIZE(sites); i++) {
        assert_int_equal(verdict(fetched(request("GET", "/"), sites[i], "navigate", "document")), PASS);
        assert_int_equal(verdict(fetched(request("HEAD", "/"), sites[i], "navigate", "document")), PASS);
        assert_int_equal(verdict(fetched(request("POST", "/"), sites[i], "navigate", "document")), REFUSE);
        assert_int_equal(verdict(fetched(request("GET", "/"), sites[i], "navigate", "iframe")), REFUSE);
        assert_int_equal(verdict(fetched(request("GET", "/"), sites[i], "navigate", "object")), REFUSE);
        assert_int_equal(verdict(fetched(request("GET", "/"), sites[i], "no-cors", "image")), REFUSE);
        assert_int_equal(verdict(fetched(request("GET", "/"), sites[i], "no-cors", "script")), REFUSE);
        assert_int_equal(verdict(fetched(request("GET", "/"), sites[i], "cors", "empty")), REFUSE);
        assert_int_equal(verdict(fetched(request("GET", "/"), sites[i], NULL, NULL)), REFUSE);
    }
}

static void own_page_and_typed_address_pass(void **state)
{
    assert_int_equal(verdict(fetched(request("POST", "/"), "same-origin", "cors", "empty")), PASS);
    assert_int_equal(verdict(fetched(request("GET", "/"), "same-origin", "navigate", "iframe")), PASS);
    assert_int_equal(verdict(fetched(request("GET", "/"), "none", "navigate", "document")), PASS);
}

static void service_workers_only_where_allowed(void **state)
{
    struct gateway_request r = request("GET", "/sw.js");

    r.service_worker = STR("script");
    assert_int_equal(verdict(r), REFUSE);
    assert_int_equal(request_check_source(&s.site, &r, true, s.arena).kind, PASS);
    r.service_worker = (struct str){NULL, 0};
    r = fetched(r, "same-origin", "same-origin", "serviceworker");
    assert_int_equal(verdict(r), REFUSE);
    assert_int_equal(request_check_source(&s.site, &r, true, s.arena).kind, PASS);
    assert_int_equal(verdict(fetched(r, "same-origin", "same-origin", "worker")), PASS);
}

static void login_is_for_navigations(void **state)
{
    struct gateway_request r = fetched(request("GET", "/lab?a=b&c=ü"), "none", "navigate", "document");
    struct gateway_verdict v = ask_to_log_in(&s.site, &r, s.arena);

    assert_int_equal(v.kind, REDIRECT);
    assert_string_equal(v.location,
                        "http://127.0.0.1:30001/open?to=http%3A%2F%2F127.0.0.1%3A31001%2Flab%3Fa%3Db%26c%3D%25C3%25BC");
    r = fetched(r, "same-origin", "cors", "empty");
    v = ask_to_log_in(&s.site, &r, s.arena);
    assert_int_equal(v.kind, LOGIN);
    assert_string_equal(v.location, "http://127.0.0.1:30001/open?to=http%3A%2F%2F127.0.0.1%3A31001%2F");
    r = fetched(r, "same-origin", "navigate", "iframe");
    assert_int_equal(ask_to_log_in(&s.site, &r, s.arena).kind, LOGIN);
    r = fetched(request("POST", "/"), "same-origin", "navigate", "document");
    assert_int_equal(ask_to_log_in(&s.site, &r, s.arena).kind, LOGIN);
    /* Over plain HTTP on other than loopback addresses browsers send no Sec-Fetch-*. */
    r = request("GET", "/");
    assert_int_equal(ask_to_log_in(&s.site, &r, s.arena).kind, LOGIN);
    r.accept = STR("*/*");
    assert_int_equal(ask_to_log_in(&s.site, &r, s.arena).kind, LOGIN);
    r.accept = STR("application/xhtml+xml,Text/HTML;q=0.9");
    assert_int_equal(ask_to_log_in(&s.site, &r, s.arena).kind, REDIRECT);
    r.upgrade = STR("websocket");
    assert_int_equal(ask_to_log_in(&s.site, &r, s.arena).kind, LOGIN);
}

static void work_is_what_somebody_does(void **state)
{
    struct gateway_request r = fetched(request("GET", "/api/kernels"), "same-origin", "cors", "empty");

    assert_false(is_work(&r));
    assert_false(is_visit(&r));
    r.method = STR("HEAD");
    assert_false(is_work(&r));
    for (size_t i = 0; i < 4; i++) {
        static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
        r.method = str_from(methods[i]);
        assert_true(is_work(&r));
        assert_true(is_visit(&r));
    }
    r = fetched(request("GET", "/lab"), "none", "navigate", "document");
    assert_true(is_work(&r));
    assert_true(is_visit(&r));
    r = request("GET", "/api/kernels/x/channels");
    r.upgrade = STR("websocket");
    assert_true(is_work(&r));
    assert_false(is_visit(&r)); /* a forgotten tab opens it again after each sleep of its machine */
}

static const char *path_of(const char *path)
{
    return safe_path(s.arena, str_from(path));
}

static void only_paths_of_the_own_origin_are_followed(void **state)
{
    _cleanup_free_ char *long_path = xmalloc(4000);

    memset(long_path, 'a', 3999);
    long_path[0] = '/';
    long_path[3999] = '\0';
    assert_string_equal(path_of("/lab?x=%2F#y"), "/lab?x=%2F#y");
    assert_string_equal(path_of("/a\r\nSet-Cookie: x"), "/a%0D%0ASet-Cookie:%20x");
    assert_string_equal(path_of("//evil.example"), "/");
    assert_string_equal(path_of("/\\evil.example"), "/");
    assert_string_equal(path_of("https://evil.example"), "/");
    assert_string_equal(path_of(""), "/");
    assert_string_equal(path_of("*"), "/");
    assert_string_equal(path_of(long_path), "/");
    assert_string_equal(path_of("/a\\b"), "/a%5Cb");
}

static bool redeemable(struct gateway_request r)
{
    return may_redeem(&s.site, &r, s.arena);
}

static void dashboard_and_visitors_redeem(void **state)
{
    struct gateway_request post = request("POST", "/.open-hydra/open"), get = request("GET", "/.open-hydra/open");

    assert_true(redeemable(post));
    assert_true(redeemable(get));
    assert_false(redeemable(request("OPTIONS", "/")));
    assert_false(redeemable(request("HEAD", "/")));
    post.origin = STR("http://127.0.0.1:30001");
    assert_true(redeemable(fetched(post, "same-site", "cors", "empty")));
    post.method = STR("OPTIONS");
    assert_true(redeemable(fetched(post, "same-site", "cors", "empty")));
    post.method = STR("PUT");
    assert_false(redeemable(post));
    post.method = STR("POST");
    post.origin = STR(OTHER);
    assert_false(redeemable(fetched(post, "same-site", "cors", "empty")));
    post.origin = STR("null");
    assert_false(redeemable(post));
    post.origin = (struct str){NULL, 0};
    assert_false(redeemable(fetched(post, "same-site", "no-cors", "empty")));
    assert_true(redeemable(fetched(get, "cross-site", "navigate", "document")));
    assert_false(redeemable(fetched(get, "cross-site", "navigate", "iframe")));
    assert_false(redeemable(fetched(get, "same-site", "no-cors", "image")));
    get.origin = STR(OTHER);
    assert_false(redeemable(get));
}

static void scheme_s_own_port_is_left_out(void **state)
{
    teardown(NULL);
    arrange("environmentListen: 127.0.0.1:80-90\ndashboardListen: 127.0.0.1:443\ntlsCertificate: "
            "/c\ntlsCertificateKey: /k\n");
    assert_string_equal(s.site.dashboard, "https://127.0.0.1");
    assert_string_equal(environment_origin(&s.site, s.arena, 80), "https://127.0.0.1:80");
    teardown(NULL);
    arrange("environmentListen: 127.0.0.1:80-90\n");
    struct gateway_request r = {
        .method = STR("GET"), .uri = STR("/"), .host = STR("127.0.0.1"), .port = 80, .own_port = 80};
    assert_int_equal(verdict(r), PASS);
    r.port = r.own_port = 81;
    r.host = STR("127.0.0.1:81");
    assert_int_equal(verdict(r), PASS);
    assert_string_equal(environment_origin(&s.site, s.arena, 80), "http://127.0.0.1");
}

static void secure_cookies_need_tls_or_loopback(void **state)
{
    assert_true(s.site.secure_cookie);
    teardown(NULL);
    arrange(SCHOOL);
    assert_true(s.site.secure_cookie);
    teardown(NULL);
    arrange(SCHOOL "insecure: true\n");
    assert_false(s.site.secure_cookie);
}

/* --- Behind another proxy --- */

#define PUBLIC LOOPBACK "publicAddress: https://Hydra.school.example/\ntrustedProxies: [127.0.0.1]\n"

static struct gateway_request proxied(const char *host, const char *scheme)
{
    struct gateway_request r = request("GET", "/lab?x=1");

    r.host = str_from(host);
    r.scheme = str_from(scheme);
    r.proxied = true;
    return r;
}

static void behind_a_proxy_its_address_counts(void **state)
{
    teardown(NULL);
    arrange(PUBLIC);
    struct gateway_request r = proxied("hydra.school.example:31001", "https");
    assert_string_equal(s.site.dashboard, "https://hydra.school.example");
    assert_true(s.site.secure_cookie);
    assert_int_equal(verdict(r), PASS);
    r.method = STR("POST");
    r.origin = STR("https://hydra.school.example:31001");
    assert_int_equal(verdict(r), PASS);
    r.origin = STR("https://hydra.school.example");
    assert_int_equal(verdict(r), REFUSE);
    r.origin = STR("http://hydra.school.example:31001");
    assert_int_equal(verdict(r), REFUSE);
    r.host = STR("hydra.school.example");
    assert_int_equal(verdict(r), REFUSE);
}

static void plain_http_at_the_proxy_leads_to_https(void **state)
{
    teardown(NULL);
    arrange(PUBLIC);
    struct gateway_request r = proxied("hydra.school.example:31001", "http");
    struct gateway_verdict v = request_check_source(&s.site, &r, false, s.arena);
    assert_int_equal(v.kind, REDIRECT);
    assert_string_equal(v.location, "https://hydra.school.example:31001/lab?x=1");
    r.method = STR("POST");
    assert_int_equal(verdict(r), REFUSE);
    r.method = STR("GET");
    r.upgrade = STR("websocket");
    assert_int_equal(verdict(r), REFUSE);
}

static void a_name_that_the_proxy_lost_is_said(void **state)
{
    teardown(NULL);
    arrange(PUBLIC);
    struct gateway_request r = proxied("127.0.0.1:31001", "https");
    struct gateway_verdict v = request_check_source(&s.site, &r, false, s.arena);
    assert_int_equal(v.kind, REFUSE);
    assert_string_equal(v.page, "proxy");
    r.proxied = false;
    v = request_check_source(&s.site, &r, false, s.arena);
    assert_int_equal(v.kind, REDIRECT);
    assert_string_equal(v.location, "https://hydra.school.example:31001/lab?x=1");
    r.host = STR("rebound.example:31001");
    r.proxied = true;
    v = request_check_source(&s.site, &r, false, s.arena);
    assert_string_equal(v.page, "bad-host");
}

static void each_environment_may_have_a_name(void **state)
{
    teardown(NULL);
    arrange(PUBLIC "environmentPublicAddress: https://env-{port}.hydra.school.example:8443\n");
    struct gateway_request r = proxied("env-31001.hydra.school.example:8443", "https");
    assert_string_equal(environment_origin(&s.site, s.arena, PORT), "https://env-31001.hydra.school.example:8443");
    r.own_port = 31000; /* all may come by one */
    assert_int_equal(verdict(r), PASS);
    r.origin = STR("https://env-31002.hydra.school.example:8443");
    r.method = STR("POST");
    assert_int_equal(verdict(r), REFUSE);
    r = proxied("env-31002.hydra.school.example:8443", "https");
    assert_int_equal(verdict(r), REFUSE);
}

static void secure_cookies_follow_the_public_address(void **state)
{
    teardown(NULL);
    arrange(SCHOOL "insecure: true\npublicAddress: https://hydra.school.example\n");
    assert_true(s.site.secure_cookie);
    teardown(NULL);
    arrange(LOOPBACK "insecure: true\npublicAddress: http://hydra.school.example\n");
    assert_false(s.site.secure_cookie);
    teardown(NULL);
    arrange(LOOPBACK "publicAddress: http://localhost:8080\n");
    assert_true(s.site.secure_cookie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_client_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_host_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(another_known_name_leads_to_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(host_may_be_written_in_any_case, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_origin_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_origin_may_read_without_saying_so, setup, teardown),
        cmocka_unit_test_setup_teardown(websocket_needs_the_own_origin, setup, teardown),
        cmocka_unit_test_setup_teardown(other_sites_may_only_navigate, setup, teardown),
        cmocka_unit_test_setup_teardown(own_page_and_typed_address_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(service_workers_only_where_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(login_is_for_navigations, setup, teardown),
        cmocka_unit_test_setup_teardown(work_is_what_somebody_does, setup, teardown),
        cmocka_unit_test_setup_teardown(only_paths_of_the_own_origin_are_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(dashboard_and_visitors_redeem, setup, teardown),
        cmocka_unit_test_setup_teardown(scheme_s_own_port_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(secure_cookies_need_tls_or_loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(behind_a_proxy_its_address_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(plain_http_at_the_proxy_leads_to_https, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_the_proxy_lost_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(each_environment_may_have_a_name, setup, teardown),
        cmocka_unit_test_setup_teardown(secure_cookies_follow_the_public_address, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
