/* The text of nginx.conf: what goes into it, and what is refused. That nginx takes it, and does with it what it should:
 * tests/gateway. */
#include "unit/gateway/configured.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "server/gateway/gateway.h"
#include "server/gateway/template.h"

static struct nginx_options options(const struct config *c)
{
    return (struct nginx_options){.config = c,
                                  .prefix = "/tmp/prefix",
                                  .gateway_socket = "/run/g.sock",
                                  .auth_socket = "/run/a.sock",
                                  .web = "/usr/share/web",
                                  .pages = "/usr/share/pages",
                                  .pki = "/var/pki",
                                  .nofile = 20000};
}

static char *written(const struct nginx_options *o)
{
    struct error *err = NULL;
    char *text = nginx_configuration(o, &err);

    if (text == NULL)
        fail_msg("%s", err->message);
    assert_null(strstr(text, "@P"));
    return text;
}

static void assert_refused(const struct nginx_options *o, const char *part)
{
    struct error *err = NULL;

    assert_null(nginx_configuration(o, &err));
    if (strstr(err->message, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->message, part);
    error_free(err);
}

static void loopback_is_plain(void **state)
{
    struct config *c = configured(LOOPBACK);
    struct nginx_options o = options(c);
    _cleanup_free_ char *text = written(&o);

    assert_non_null(strstr(text, "listen 127.0.0.1:30001 so_keepalive=45s:15s:4 backlog=512;"));
    assert_non_null(strstr(text, "listen 127.0.0.1:31000-31099 so_keepalive=45s:15s:4 backlog=512;"));
    assert_non_null(strstr(text, "listen 127.0.0.1:30443 ssl so_keepalive=45s:15s:4 backlog=512;"));
    assert_non_null(strstr(text, "ssl_client_certificate \"/var/pki/ca.crt\";"));
    assert_non_null(strstr(text, "connect-src 'self' http://127.0.0.1:*;"));
    config_free(c);
}

static void other_addresses_speak_tls(void **state)
{
    struct config *c = configured(SCHOOL "tlsCertificate: /etc/school.crt\ntlsCertificateKey: /etc/school.key\n");
    struct nginx_options o = options(c);
    _cleanup_free_ char *text = written(&o);

    assert_non_null(strstr(text, "listen 0.0.0.0:31000-31099 ssl so_keepalive=45s:15s:4 backlog=512;"));
    assert_non_null(strstr(text, "ssl_certificate \"/etc/school.crt\";"));
    assert_non_null(strstr(text, "ssl_certificate \"/var/pki/server.crt\";"));
    assert_null(strstr(text, "http2"));
    config_free(c);
}

static void ipv6_has_brackets(void **state)
{
    struct config *c = configured(
        "environmentListen: '[::1]:31000-31001'\ndashboardListen: '[::1]:30001'\napiListen: '[::1]:30443'\n");
    struct nginx_options o = options(c);
    _cleanup_free_ char *text = written(&o);

    assert_non_null(strstr(text, "listen [::1]:31000-31001 so_keepalive="));
    assert_non_null(strstr(text, "\"[::1]:30001\" own;"));
    config_free(c);
}

static void ports_of_others_are_left_out(void **state)
{
    struct config *c = configured(LOOPBACK);
    struct nginx_options o = options(c);
    const uint16_t excluded[] = {31099, 31000, 31010, 31012, 40000};
    o.excluded = excluded;
    o.excluded_len = ARRAY_SIZE(excluded);
    _cleanup_free_ char *text = written(&o);

    assert_non_null(strstr(text, "listen 127.0.0.1:31001-31009 so_keepalive=45s:15s:4 backlog=512;\n"
                                 "        listen 127.0.0.1:31011 so_keepalive=45s:15s:4 backlog=512;\n"
                                 "        listen 127.0.0.1:31013-31098 so_keepalive=45s:15s:4 backlog=512;\n"));
    config_free(c);
    c = configured("environmentListen: 127.0.0.1:31010-31010\n");
    o.config = c;
    assert_refused(&o, "taken by others");
    config_free(c);
}

static void values_that_mean_something_to_nginx_are_refused(void **state)
{
    static const char *const bad[] = {"/a\"b", "/a'b", "/a;b", "/a$b",     "/a\nb",
                                      "/a\\b", "/a{b", "/a}b", "relative", ""};
    struct config *c = configured(LOOPBACK);

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct nginx_options o = options(c);
        o.prefix = bad[i];
        assert_refused(&o, "prefix");
        o = options(c);
        o.pages = bad[i];
        assert_refused(&o, "pages");
        o = options(c);
        o.auth_socket = bad[i];
        assert_refused(&o, "auth socket");
        o = options(c);
        o.pki = bad[i];
        assert_refused(&o, "pki");
    }
    struct nginx_options o = options(c);
    o.gateway_socket = "/a:b";
    assert_refused(&o, "gateway socket");
    o = options(c);
    o.prefix = "/数据/with blank";
    free(written(&o));
    free(c->hosts[0]);
    c->hosts[0] = xstrdup("a b");
    assert_refused(&o, "host");
    config_free(c);
}

static void limits_of_descriptors_are_kept(void **state)
{
    struct config *c = configured("environmentListen: 127.0.0.1:31000-31999\n");
    struct nginx_options o = options(c);

    o.nofile = 1024;
    assert_refused(&o, "ulimit -n");
    o.nofile = 4096;
    _cleanup_free_ char *text = written(&o);
    assert_non_null(strstr(text, "worker_rlimit_nofile 4096;"));
    assert_non_null(strstr(text, "worker_connections 4032;"));
    config_free(c);
}

/* Of 4,032 connections of a worker: three sixteenths as requests for dashboard and API, as many for environments. */
static void addresses_have_a_part(void **state)
{
    struct config *c = configured(LOOPBACK);
    struct nginx_options o = options(c);

    o.nofile = 4096;
    _cleanup_free_ char *text = written(&o);
    assert_non_null(strstr(text, "limit_conn open_hydra_all 756;"));
    assert_non_null(strstr(text, "limit_conn open_hydra_address 378;"));
    assert_non_null(strstr(text, "limit_conn open_hydra_environments 756;"));
    assert_non_null(strstr(text, "limit_conn open_hydra_environment_address 378;"));
    assert_non_null(strstr(text, "limit_conn open_hydra_environment 94;"));
    assert_non_null(strstr(text, "limit_conn open_hydra_strangers 189;"));
    assert_non_null(strstr(text, "limit_conn open_hydra_stranger 94;"));
    config_free(c);
}

static size_t count(const char *text, const char *line)
{
    size_t n = 0;

    for (; (text = strstr(text, line)); text++)
        n++;
    return n;
}

/* Each as often as there are places that need it. What a browser notices of them, others test; these show only where
 * somebody tries for long. */
static void what_bounds_and_hides(void **state)
{
    static const struct {
        const char *line;
        size_t times;
    } lines[] = {
        {"limit_req_zone $open_hydra_stranger zone=open_hydra_stranger_rate:4m rate=1000r/s;", 1},
        {"limit_req zone=open_hydra_stranger_rate burst=5000 nodelay;", 5},
        {"limit_conn_status 429;", 1},
        {"limit_req_status 429;", 1},
        {"ssl_verify_client optional;", 1},
        {"ssl_verify_depth 1;", 1},
        {" max_fails=0;", 18},
        {"client_max_body_size 3m;", 2},
        {"client_max_body_size 16k;", 1},
        {"client_max_body_size 10738466816;", 2}, /* 10 GiB, and 1 MiB for the form */
        {"client_body_timeout 60s;", 2},
        {"client_max_body_size 1k;", 2},
        {"proxy_request_buffering off;", 6},
        {"proxy_set_header Proxy \"\";", 1},
        {"proxy_set_header Open-Hydra-Auth \"\";", 1},
        {"proxy_set_header X-Open-Hydra-Session-Key \"\";", 1},
        {"proxy_set_header X-Client-Verify NONE;", 1},
        {"proxy_hide_header Set-Cookie;", 1},
        {"proxy_hide_header Set-Cookie2;", 1},
        {"proxy_hide_header Clear-Site-Data;", 1},
        {"proxy_hide_header Strict-Transport-Security;", 1},
        {"proxy_hide_header Alt-Svc;", 1},
        {"proxy_hide_header NEL;", 1},
        {"proxy_hide_header Report-To;", 1},
        {"proxy_hide_header Reporting-Endpoints;", 1},
        {"proxy_hide_header Service-Worker-Allowed;", 1},
        {"proxy_hide_header Access-Control-Allow-Origin;", 1},
        {"proxy_hide_header Access-Control-Allow-Credentials;", 1},
    };
    struct config *c = configured(LOOPBACK);
    struct nginx_options o = options(c);
    _cleanup_free_ char *text = written(&o);

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        if (count(text, lines[i].line) != lines[i].times)
            fail_msg("\"%s\": %zu times", lines[i].line, count(text, lines[i].line));
    config_free(c);
}

static void template_knows_its_names(void **state)
{
    const struct template_value values[] = {{"A", STR("1")}, {"B_C", STR("@A@")}};
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(100);
    struct error *err = NULL;

    assert_int_equal(template_expand(&b, STR("@A@ @B_C@ @named x@ @@ a@b@A@@"), values, 2, &err), 0);
    assert_string_equal(b.p, "1 @A@ @named x@ @@ a@b1@");
    assert_int_equal(template_expand(&b, STR("@NOT@"), values, 2, &err), -1);
    error_free(err);
}

static int listener(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void taken_ports_are_found(void **state)
{
    uint16_t port, taken[4];
    int fd = listener(&port);
    struct error *err = NULL;
    _cleanup_free_ char *yaml = xasprintf("environmentListen: 127.0.0.1:%u-%u\n", port, port);
    struct config *c = configured(yaml);

    assert_int_equal(gateway_probe_ports(c, taken, 4, &err), 1);
    assert_int_equal(taken[0], port);
    assert_int_equal(gateway_probe_port("0.0.0.0", port), EADDRINUSE);
    close(fd);
    assert_int_equal(gateway_probe_ports(c, taken, 4, &err), 0);
    assert_int_equal(gateway_probe_port("nonsense", port), EADDRNOTAVAIL);
    free(c->environments.host);
    c->environments.host = xstrdup("192.0.2.1");
    assert_int_equal(gateway_probe_ports(c, taken, 4, &err), -1);
    error_free(err);
    config_free(c);
}

static char *written_for(const char *yaml)
{
    struct config *c = configured(yaml);
    struct nginx_options o = options(c);
    char *text = written(&o);

    config_free(c);
    return text;
}

#define ASSERT_IN(text, part) assert_non_null(strstr(text, part))

static void without_trusted_proxies_nobody_is_believed(void **state)
{
    _cleanup_free_ char *text = written_for(LOOPBACK);
    _cleanup_free_ char *empty = written_for(LOOPBACK "trustedProxies: []\n");
    _cleanup_free_ char *address = written_for(LOOPBACK "publicAddress: https://hydra.school.example\n");

    assert_string_equal(text, empty);
    assert_null(strstr(text, "real_ip"));
    assert_null(strstr(text, "realip"));
    assert_null(strstr(address, "real_ip"));
    ASSERT_IN(text, "geo $remote_addr $open_hydra_proxied {\n        default \"\";\n    }");
    ASSERT_IN(text, "error_page 497 =308 https://$http_host$request_uri;");
}

static void trusted_proxies_are_believed(void **state)
{
    _cleanup_free_ char *text = written_for(LOOPBACK "publicAddress: https://hydra.school.example\n"
                                                     "trustedProxies: [10.0.0.2, 'fd00::/64']\n");

    ASSERT_IN(text,
              "    set_real_ip_from 10.0.0.2;\n    set_real_ip_from fd00::/64;\n    real_ip_header X-Forwarded-For;\n"
              "    real_ip_recursive on;\n");
    ASSERT_IN(text, "geo $realip_remote_addr $open_hydra_proxied {\n        default \"\";\n        10.0.0.2 trusted;\n"
                    "        fd00::/64 trusted;\n");
    ASSERT_IN(text, "X-Original-Peer-Address $realip_remote_addr;");
    ASSERT_IN(text, "X-Original-Peer-Port $realip_remote_port;");
    ASSERT_IN(text, "\"hydra.school.example\" own;");
    ASSERT_IN(text, "\"127.0.0.1:30001\" known;");
    ASSERT_IN(text, "\"own trusted http\" known;");
    ASSERT_IN(text, "return 307 https://hydra.school.example$request_uri;");
    ASSERT_IN(text, "connect-src 'self' https://hydra.school.example:*;");
    ASSERT_IN(text, "X-Forwarded-Proto https;");
}

static void environments_with_names(void **state)
{
    _cleanup_free_ char *text =
        written_for(LOOPBACK "publicAddress: https://hydra.school.example\n"
                             "environmentPublicAddress: https://env-{port}.hydra.school.example\n");

    ASSERT_IN(text, "\"~*^env-(?<open_hydra_named_port>");
    ASSERT_IN(text, ")\\.hydra\\.school\\.example$\" $open_hydra_named_port;");
    ASSERT_IN(text, "connect-src 'self' https://*.hydra.school.example;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_plain),
        cmocka_unit_test(other_addresses_speak_tls),
        cmocka_unit_test(ipv6_has_brackets),
        cmocka_unit_test(ports_of_others_are_left_out),
        cmocka_unit_test(values_that_mean_something_to_nginx_are_refused),
        cmocka_unit_test(limits_of_descriptors_are_kept),
        cmocka_unit_test(addresses_have_a_part),
        cmocka_unit_test(what_bounds_and_hides),
        cmocka_unit_test(template_knows_its_names),
        cmocka_unit_test(taken_ports_are_found),
        cmocka_unit_test(without_trusted_proxies_nobody_is_believed),
        cmocka_unit_test(trusted_proxies_are_believed),
        cmocka_unit_test(environments_with_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
