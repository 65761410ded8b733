#include "base/yaml_scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"

static bool is_one_of(const char *s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

struct base {
    const char *prefix, *digits;
    int base;
};

/* Not left to strtoull: with base 0 it knows "0b" since glibc 2.38 alone. */
static const struct base bases[] = {
    {"0x", "0123456789abcdefABCDEF", 16},
    {"0X", "0123456789abcdefABCDEF", 16},
    {"0b", "01", 2},
    {"0o", "01234567", 8},
    {"0", "01234567", 8},
    {"", "0123456789", 10},
};

/* The first whose prefix has something behind it: "0" itself is decimal. */
static const struct base *base_of(const char *s)
{
    const struct base *b = bases;

    while (!starts_with(s, b->prefix) || (b->prefix[0] && s[strlen(b->prefix)] == '\0'))
        b++;
    return b;
}

static yyjson_mut_val *resolve_integer(yyjson_mut_doc *doc, const char *s)
{
    bool negative = *s == '-';
    const char *digits = negative || *s == '+' ? s + 1 : s;
    const struct base *base = base_of(digits);

    digits += strlen(base->prefix);
    if (*digits == '\0' || digits[strspn(digits, base->digits)] != '\0')
        return NULL;
    errno = 0;
    unsigned long long value = strtoull(digits, NULL, base->base);
    if (errno || (negative && value > (unsigned long long)INT64_MAX + 1))
        return NULL;
    return negative && value ? yyjson_mut_sint(doc, (int64_t)(0 - value)) : yyjson_mut_uint(doc, value);
}

static yyjson_mut_val *resolve_real(yyjson_mut_doc *doc, const char *s)
{
    char *end;

    if (s[strspn(s, "+-.0123456789eE")] != '\0' || strpbrk(s, "0123456789") == NULL)
        return NULL;
    errno = 0;
    double value = strtod(s, &end);
    return *end || errno ? NULL : yyjson_mut_real(doc, value);
}

yyjson_mut_val *yaml_resolve_plain(yyjson_mut_doc *doc, const char *s)
{
    static const char *const nulls[] = {"", "~", "null"};
    static const char *const trues[] = {"true", "yes", "on", "y"};
    static const char *const falses[] = {"false", "no", "off", "n"};

    if (is_one_of(s, nulls, ARRAY_SIZE(nulls)))
        return yyjson_mut_null(doc);
    if (is_one_of(s, trues, ARRAY_SIZE(trues)))
        return yyjson_mut_true(doc);
    if (is_one_of(s, falses, ARRAY_SIZE(falses)))
        return yyjson_mut_false(doc);
    yyjson_mut_val *number = resolve_integer(doc, s);
    return number ? number : resolve_real(doc, s);
}
