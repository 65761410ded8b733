#include "server/gateway/outer.h"

#include <string.h>

#include "config/public.h"

static const char *host_of(const char *origin)
{
    return strstr(origin, "//") + 2;
}

void outer_write_real_ip(struct buffer *b, const struct config *c)
{
    if (!config_is_proxied(c))
        return;
    for (char **t = c->trusted_proxies; *t; t++)
        buffer_printf(b, "    set_real_ip_from %s;\n", *t);
    buffer_puts(b, "    real_ip_header X-Forwarded-For;\n    real_ip_recursive on;\n");
}

void outer_write_trusted(struct buffer *b, const struct config *c)
{
    for (char **t = c->trusted_proxies; t && *t; t++)
        buffer_printf(b, "        %s trusted;\n", *t);
}

/* Of what comes by the proxy: by plain HTTP it goes to https, and what has lost its name on the way goes nowhere. */
void outer_write_proxied_hosts(struct buffer *b, const struct config *c)
{
    if (c->public_address)
        buffer_printf(b, "        \"own trusted %s\" known;\n        \"~^known trusted \" misnamed;\n",
                      public_is_https(c) ? "http" : "https");
}

static void write_escaped(struct buffer *b, const char *text)
{
    for (; *text; text++)
        buffer_printf(b, *text == '.' ? "\\%c" : "%c", *text);
}

/* 1 to 65535 */
#define PORT_PATTERN "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"

void outer_write_environment_hosts(struct buffer *b, const struct config *c)
{
    const struct public_pattern *p = &c->public_environments;

    if (!c->public_address || !p->is_named)
        return;
    buffer_puts(b, "        \"~*^");
    write_escaped(b, host_of(p->before));
    buffer_puts(b, "(?<open_hydra_named_port>" PORT_PATTERN ")");
    write_escaped(b, p->after);
    buffer_puts(b, "$\" $open_hydra_named_port;\n");
}

const char *outer_scheme(const struct config *c)
{
    return !c->public_address ? "$scheme" : public_is_https(c) ? "https" : "http";
}
