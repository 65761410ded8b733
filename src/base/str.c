#include "base/str.h"

bool str_split(struct str *rest, char sep, struct str *part)
{
    if (rest->p == NULL)
        return false;

    const char *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    if (at == NULL) {
        *part = *rest;
        *rest = (struct str){NULL, 0};
        return true;
    }
    *part = (struct str){rest->p, (size_t)(at - rest->p)};
    rest->n -= part->n + 1;
    rest->p = at + 1;
    return true;
}

bool str_list_has(struct str list, char sep, const char *word)
{
    struct str one;

    while (str_split(&list, sep, &one))
        if (str_is(one, word))
            return true;
    return false;
}

struct str str_trim(struct str s)
{
    while (s.n && ascii_isspace(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && ascii_isspace(s.p[s.n - 1]))
        s.n--;
    return s;
}

int str_to_u64(struct str s, unsigned long long max, unsigned long long *out)
{
    unsigned long long value = 0;

    if (s.n == 0)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_isdigit(s.p[i]))
            return -1;
        if (__builtin_mul_overflow(value, 10ULL, &value) ||
            __builtin_add_overflow(value, (unsigned long long)(s.p[i] - '0'), &value))
            return -1;
    }
    if (value > max)
        return -1;
    *out = value;
    return 0;
}

static bool is_label(struct str s)
{
    if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_islower(s.p[i]) && !ascii_isdigit(s.p[i]) && s.p[i] != '-')
            return false;
    return true;
}

bool is_dns_label(struct str s)
{
    return s.n <= 63 && is_label(s);
}

bool is_dns_subdomain(struct str s)
{
    struct str part;

    if (s.n == 0 || s.n > 253)
        return false;
    while (str_split(&s, '.', &part))
        if (!is_label(part))
            return false;
    return true;
}

bool str_equal_secret(struct str a, struct str b)
{
    unsigned char diff = 0;

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        diff |= (unsigned char)(a.p[i] ^ b.p[i]);
    return diff == 0;
}
