#include "server/model/metadata.h"

/* [A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])? */
static bool is_label_text(struct str s)
{
    if (s.n == 0 || !ascii_isalnum(s.p[0]) || !ascii_isalnum(s.p[s.n - 1]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
            return false;
    return true;
}

bool label_key_valid(struct str key, const char **why)
{
    const char *slash = key.n ? memchr(key.p, '/', key.n) : NULL;
    struct str name = key;

    if (slash) {
        struct str prefix = {key.p, (size_t)(slash - key.p)};
        name = (struct str){slash + 1, key.n - prefix.n - 1};
        *why = prefix.n ? "prefix part must be a lowercase RFC 1123 subdomain" : "prefix part must be non-empty";
        if (!is_dns_subdomain(prefix))
            return false;
    }
    *why = "name part must be non-empty";
    if (name.n == 0)
        return false;
    *why = "name part must be no more than 63 bytes";
    if (name.n > 63)
        return false;
    *why = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
           "alphanumeric "
           "character";
    return is_label_text(name);
}

bool label_value_valid(struct str value, const char **why)
{
    *why = "must be no more than 63 bytes";
    if (value.n > 63)
        return false;
    *why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
           "start and end "
           "with an alphanumeric character";
    return value.n == 0 || is_label_text(value);
}
