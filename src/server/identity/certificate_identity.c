#include "server/identity/certificate_identity.h"

#include <string.h>

#include "base/encoding.h"

#define DN_MAX 4096
#define SERIAL_MAX 64

/* A cursor over RFC 2253 §2.3: attributes «type=value», joined by ',' (or '+' within one level). */
struct dn {
    struct str rest;
    struct arena *arena;
};

static bool at_separator(const struct dn *d)
{
    char c = d->rest.p[0];
    return c == ',' || c == '+' || c == ';';
}

static void dn_advance(struct dn *d, size_t n)
{
    d->rest.p += n;
    d->rest.n -= n;
}

static int dn_read_type(struct dn *d, struct str *type)
{
    const char *equals = memchr(d->rest.p, '=', d->rest.n);

    if (equals == NULL)
        return -1;
    *type = str_trim((struct str){d->rest.p, (size_t)(equals - d->rest.p)});
    dn_advance(d, (size_t)(equals - d->rest.p) + 1);
    for (size_t i = 0; i < type->n; i++)
        if (!ascii_isalnum(type->p[i]) && type->p[i] != '.' && type->p[i] != '-')
            return -1;
    return type->n ? 0 : -1;
}

/* After a backslash: two hex digits for a byte, or the character itself. */
static int dn_read_escaped(struct dn *d, char *out)
{
    dn_advance(d, 1);
    if (d->rest.n == 0)
        return -1;
    int high = d->rest.n >= 2 ? hex_value(d->rest.p[0]) : -1;
    int low = high >= 0 ? hex_value(d->rest.p[1]) : -1;
    if (low >= 0) {
        *out = (char)(high * 16 + low);
        dn_advance(d, 2);
    } else {
        *out = d->rest.p[0];
        dn_advance(d, 1);
    }
    return *out == '\0' ? -1 : 0;
}

/* A value up to the next bare separator. The quoted form of RFC 1779 and the '#' form (BER in hex) are not what nginx
 * sends: refused rather than guessed at. */
static int dn_read_value(struct dn *d, const char **value)
{
    char *out = arena_alloc(d->arena, d->rest.n + 1);
    size_t n = 0;

    if (d->rest.n && (d->rest.p[0] == '#' || d->rest.p[0] == '"'))
        return -1;
    while (d->rest.n && !at_separator(d)) {
        if (d->rest.p[0] == '\\') {
            if (dn_read_escaped(d, &out[n++]) < 0)
                return -1;
            continue;
        }
        if (d->rest.p[0] == '"' || d->rest.p[0] == '\0')
            return -1;
        out[n++] = d->rest.p[0];
        dn_advance(d, 1);
    }
    *value = out;
    return 0;
}

static int dn_take_attribute(struct subject *out, struct str type, const char *value)
{
    if (str_is(type, "CN")) {
        if (out->common_name)
            return -1;
        out->common_name = value;
    } else if (str_is(type, "O")) {
        out->groups[out->groups_len++] = value;
        out->masters |= strcmp(value, "system:masters") == 0;
    }
    return 0;
}

static size_t most_attributes(struct str dn)
{
    size_t n = 1;

    for (size_t i = 0; i < dn.n; i++)
        n += dn.p[i] == ',' || dn.p[i] == '+' || dn.p[i] == ';';
    return n;
}

int subject_parse(struct arena *arena, struct str dn, struct subject *out)
{
    struct dn d = {dn, arena};

    *out = (struct subject){0};
    if (dn.n == 0 || dn.n > DN_MAX)
        return -1;
    out->groups = arena_alloc(arena, (most_attributes(dn) + 2) * sizeof(*out->groups));
    for (;;) {
        struct str type;
        const char *value;
        if (dn_read_type(&d, &type) < 0 || dn_read_value(&d, &value) < 0 || dn_take_attribute(out, type, value) < 0)
            return -1;
        if (d.rest.n == 0)
            return 0;
        dn_advance(&d, 1);
    }
}

const char *serial_normal(struct arena *arena, struct str hex)
{
    while (hex.n > 1 && hex.p[0] == '0') {
        hex.p++;
        hex.n--;
    }
    if (hex.n == 0 || hex.n > SERIAL_MAX)
        return NULL;
    char *out = arena_alloc(arena, hex.n + 1);
    for (size_t i = 0; i < hex.n; i++) {
        int value = hex_value(hex.p[i]);
        if (value < 0)
            return NULL;
        out[i] = "0123456789ABCDEF"[value];
    }
    return out;
}
