#include "server/gateway/endpoint.h"

#include "base/address.h"
#include "base/io.h"

#define UNIX "unix:"
#define HTTP "http://"
#define HTTP_MAX 64 /* the longest is http://[IPv6]:65535 */
#define TOKEN_MAX 256

/* This machine, metadata services and their like are reached by a network that lies within one of these alone, and not
 * by a wider one. */
static const char *const set_apart[] = {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
                                        "::/127",    "fe80::/10",   "ff00::/8"};

/* --- Unix sockets --- */

static bool is_plain(char c)
{
    return ascii_isalnum(c) || c == '/' || c == '.' || c == '_' || c == '-';
}

static int check_path(const struct config *c, const char *path, struct error **err)
{
    size_t n = strlen(c->runtime);

    if (strlen(path) > SOCKET_PATH_MAX || !starts_with(path, c->runtime) || !starts_with(path + n, "/env/"))
        return error_set(err, REASON_INVALID, "address: a socket lies below %s/env/, in at most %d bytes", c->runtime,
                         SOCKET_PATH_MAX);
    for (const char *p = path + n; *p; p++)
        if (!is_plain(*p) || (p[0] == '.' && p[1] == '.'))
            return error_set(err, REASON_INVALID,
                             "address: a socket's path holds letters, digits, \"/\", \".\", \"_\", \"-\" alone");
    return 0;
}

void endpoint_write_pattern(struct buffer *b, const struct config *c)
{
    buffer_printf(b, "\\Q%s\\E/env/(?!.*\\.\\.)[A-Za-z0-9/._-]+", c->runtime);
}

/* --- Addresses --- */

static bool is_apart_from(const struct network *outer, const struct network *address)
{
    struct network apart;

    for (size_t i = 0; i < ARRAY_SIZE(set_apart); i++)
        if (network_parse(str_from(set_apart[i]), &apart) == 0 && network_holds(&apart, address) &&
            !network_holds(&apart, outer))
            return true;
    return false;
}

static bool is_known(const struct config *c, const struct network *address)
{
    struct network outer;

    for (char **n = c->environment_networks; n && *n; n++)
        if (network_parse(str_from(*n), &outer) == 0 && network_holds(&outer, address) &&
            !is_apart_from(&outer, address))
            return true;
    return false;
}

/* HOST:PORT, HOST without brackets. */
static int split_host(const char *text, struct str *host)
{
    const char *end = text[0] == '[' ? strchr(text, ']') : strchr(text, ':');
    unsigned long long port;

    if (end == NULL)
        return -1;
    bool v6 = *end == ']';
    *host = (struct str){text + v6, (size_t)(end - text) - v6};
    end += v6;
    if (*end != ':' || (memchr(host->p, ':', host->n) != NULL) != v6)
        return -1;
    return str_to_u64(str_from(end + 1), UINT16_MAX, &port) < 0 || port == 0 ? -1 : 0;
}

static int check_host(const struct config *c, const char *text, struct error **err)
{
    struct network address;
    struct str host;

    if (strlen(text) > HTTP_MAX || split_host(text, &host) < 0 || network_parse(host, &address) < 0 ||
        address.bits != 128)
        return error_set(err, REASON_INVALID,
                         "address: expected " HTTP "ADDRESS:PORT with a literal address (IPv6 in brackets)");
    if (!is_known(c, &address))
        return error_set(err, REASON_INVALID, "address: %.*s is in none of the environmentNetworks", (int)host.n,
                         host.p);
    return 0;
}

/* A longer prefix wins in a `geo` block, as here. */
void endpoint_write_networks(struct buffer *b, const struct config *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(set_apart); i++)
        buffer_printf(b, "        %s \"\";\n", set_apart[i]);
    for (char **n = c->environment_networks; n && *n; n++)
        buffer_printf(b, "        %s known;\n", *n);
}

/* --- All of it --- */

/* It becomes a header's value. */
static int check_token(const char *token, struct error **err)
{
    size_t n = strlen(token);

    if (n == 0 || n > TOKEN_MAX)
        return error_set(err, REASON_INVALID, "token: expected 1 to %d characters", TOKEN_MAX);
    for (const char *c = token; *c; c++)
        if (!ascii_isalnum(*c) && !strchr("-._~+/=", *c))
            return error_set(err, REASON_INVALID, "token: it holds a character that none may have");
    return 0;
}

static int check_address(const struct config *c, const char *address, struct error **err)
{
    if (starts_with(address, UNIX))
        return check_path(c, address + strlen(UNIX), err);
    if (starts_with(address, HTTP))
        return check_host(c, address + strlen(HTTP), err);
    return error_set(err, REASON_INVALID, "address: expected " UNIX "/PATH or " HTTP "ADDRESS:PORT");
}

int endpoint_check(const struct config *c, const struct endpoint *e, struct error **err)
{
    if (!is_dns_label(str_from(e->name)))
        return error_set(err, REASON_INVALID, "name: expected letters in lower case, digits and \"-\"");
    if (check_address(c, e->address, err) < 0)
        return -1;
    return e->token ? check_token(e->token, err) : 0;
}
