#include "cli/gateway_files.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/io.h"
#include "cli/handover.h"
#include "server/gateway/gateway.h"

#define MAX_PORTS 65536
#define GIVEN_CERTIFICATE "pki/given.crt"
#define GIVEN_KEY "pki/given.key"

static int add_certificates(struct handover *h, const struct config *c, const struct layout *l, struct error **err)
{
    static const char *const names[] = {"ca.crt", "server.crt", "server.key"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *from = xasprintf("%s/%s", l->pki, names[i]), *name = xasprintf("pki/%s", names[i]);
        if (handover_add_file(h, from, name, 0600, true, err) < 0)
            return -1;
    }
    if (c->certificate == NULL)
        return 0;
    /* Its key is usually closed to all but root. */
    if (handover_add_file(h, c->certificate, GIVEN_CERTIFICATE, 0600, true, err) < 0 ||
        handover_add_file(h, c->certificate_key, GIVEN_KEY, 0600, true, err) < 0)
        return error_wrap(err, "tlsCertificate, tlsCertificateKey");
    return 0;
}

static int add_static(struct handover *h, const struct config *c, struct error **err)
{
    _cleanup_free_ char *pages = xasprintf("%s/../pages", c->web);

    return handover_add_tree(h, c->web, "web", err) < 0 || handover_add_tree(h, pages, "pages", err) < 0 ? -1 : 0;
}

static size_t read_excluded(const struct layout *l, uint16_t *ports)
{
    size_t n = 0, count = 0;
    unsigned long long port;
    _cleanup_free_ char *text = read_file(l->excluded_ports, 8 * MAX_PORTS, &n, NULL);
    struct str rest = {text, n}, line;

    while (text && str_split(&rest, '\n', &line))
        if (str_to_u64(line, UINT16_MAX, &port) == 0 && count < MAX_PORTS)
            ports[count++] = (uint16_t)port;
    return count;
}

static unsigned descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY || limit.rlim_max > 65536)
        return 65536;
    return (unsigned)limit.rlim_max;
}

static int add_configuration(struct handover *h, const struct config *c, const struct layout *l, struct error **err)
{
    _cleanup_free_ uint16_t *excluded = xcalloc(MAX_PORTS, sizeof(*excluded));
    _cleanup_free_ char *web = xasprintf("%s/web", l->gateway), *pages = xasprintf("%s/pages", l->gateway);
    _cleanup_free_ char *pki = xasprintf("%s/pki", l->gateway);
    _cleanup_free_ char *certificate = xasprintf("%s/" GIVEN_CERTIFICATE, l->gateway);
    _cleanup_free_ char *key = xasprintf("%s/" GIVEN_KEY, l->gateway);
    struct config copied = *c;

    if (c->certificate) {
        copied.certificate = certificate;
        copied.certificate_key = key;
    }
    const struct nginx_options options = {
        .config = &copied,
        .prefix = l->gateway,
        .pid = l->nginx_pid,
        .gateway_socket = l->gateway_socket,
        .auth_socket = l->auth_socket,
        .web = web,
        .pages = pages,
        .pki = pki,
        .excluded = excluded,
        .excluded_len = read_excluded(l, excluded),
        .nofile = descriptor_limit(),
    };
    _cleanup_free_ char *text = nginx_configuration(&options, err);

    if (text == NULL)
        return -1;
    handover_add(h, "nginx.conf", str_from(text), 0600, true);
    return 0;
}

int gateway_files_write(const struct config *c, const struct layout *l, struct error **err)
{
    _cleanup_handover_ struct handover *h = handover_new();

    if (add_certificates(h, c, l, err) < 0 || add_static(h, c, err) < 0 || add_configuration(h, c, l, err) < 0)
        return -1;
    return handover_write(h, l->gateway, l->gateway_id, err);
}
