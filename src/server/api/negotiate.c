#include "server/api/negotiate.h"

#include <strings.h>

#include "base/str.h"

/* One range of the header: type with its parameters. */
struct range {
    struct str type;
    struct str as, version, group;
    unsigned quality; /* thousandths */
};

static bool is_word(struct str s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* «0.5» in thousandths; what is none counts as 1 (a sender's mistake is no refusal). */
static unsigned read_quality(struct str s)
{
    unsigned value = 0, scale = 1000;

    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1'))
        return 1000;
    value = (unsigned)(s.p[0] - '0') * 1000;
    for (size_t i = 2; i < s.n; i++) {
        if (!ascii_isdigit(s.p[i]))
            return 1000;
        scale /= 10;
        value += (unsigned)(s.p[i] - '0') * scale;
    }
    return value > 1000 ? 1000 : value;
}

static struct str unquote(struct str s)
{
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        return (struct str){s.p + 1, s.n - 2};
    return s;
}

static void read_parameter(struct range *r, struct str parameter)
{
    struct str name;

    if (!str_split(&parameter, '=', &name))
        return;
    name = str_trim(name);
    struct str value = unquote(str_trim(parameter));
    if (is_word(name, "as"))
        r->as = value;
    else if (is_word(name, "v"))
        r->version = value;
    else if (is_word(name, "g"))
        r->group = value;
    else if (is_word(name, "q"))
        r->quality = read_quality(value);
}

static bool next_range(struct str *rest, struct range *out)
{
    struct str part, parameter;

    if (!str_split(rest, ',', &part))
        return false;
    *out = (struct range){.quality = 1000};
    if (str_split(&part, ';', &out->type))
        out->type = str_trim(out->type);
    while (str_split(&part, ';', &parameter))
        read_parameter(out, parameter);
    return true;
}

static bool covers(struct str range, const char *type)
{
    const char *slash = strchr(type, '/');

    if (is_word(range, "*/*") || is_word(range, type))
        return true;
    size_t n = (size_t)(slash - type) + 1;
    return range.n == n + 1 && range.p[n] == '*' && strncasecmp(range.p, type, n) == 0;
}

bool negotiate_accepts(const char *accept, const char *type)
{
    struct str rest = str_from(accept);
    struct range r;

    if (accept == NULL || str_trim(rest).n == 0)
        return true;
    while (next_range(&rest, &r))
        if (r.quality > 0 && covers(r.type, type))
            return true;
    return false;
}

/* REPRESENT_NONE: a range we do not speak. */
static enum representation represent(const struct range *r)
{
    if (!covers(r->type, "application/json"))
        return REPRESENT_NONE;
    if (r->as.n == 0)
        return REPRESENT_OBJECT;
    if (!str_is(r->group, "meta.k8s.io") || !str_is(r->version, "v1"))
        return REPRESENT_NONE;
    if (str_is(r->as, "Table"))
        return REPRESENT_TABLE;
    if (str_is(r->as, "PartialObjectMetadata") || str_is(r->as, "PartialObjectMetadataList"))
        return REPRESENT_METADATA;
    return REPRESENT_NONE;
}

enum representation negotiate(const char *accept)
{
    struct str rest = str_from(accept);
    struct range r;
    enum representation best = REPRESENT_NONE;
    unsigned quality = 0;

    if (accept == NULL || str_trim(rest).n == 0)
        return REPRESENT_OBJECT;
    /* Of equal qualities the first one wins, as in the Kubernetes server. */
    while (next_range(&rest, &r)) {
        enum representation one = represent(&r);
        if (one != REPRESENT_NONE && r.quality > quality) {
            best = one;
            quality = r.quality;
        }
    }
    return best;
}
