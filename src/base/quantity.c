#include "base/quantity.h"

#include "base/attributes.h"

#define DIGITS_BEHIND 3

static const struct {
    const char *suffix;
    uint64_t factor;
} units[] = {
    {"", 1},
    {"Ki", UINT64_C(1) << 10},
    {"Mi", UINT64_C(1) << 20},
    {"Gi", UINT64_C(1) << 30},
    {"Ti", UINT64_C(1) << 40},
    {"k", 1000},
    {"M", 1000000},
    {"G", UINT64_C(1000000000)},
    {"T", UINT64_C(1000000000000)},
};

/* Cuts the digits off the front; their number. */
static size_t take_digits(struct str *rest, struct str *digits)
{
    size_t n = 0;

    while (n < rest->n && ascii_isdigit(rest->p[n]))
        n++;
    *digits = (struct str){rest->p, n};
    *rest = (struct str){rest->p + n, rest->n - n};
    return n;
}

/* «.5» is 500 thousandths. */
static int take_thousandths(struct str *rest, unsigned long long *out)
{
    struct str digits;

    *out = 0;
    if (rest->n == 0 || rest->p[0] != '.')
        return 0;
    *rest = (struct str){rest->p + 1, rest->n - 1};
    size_t n = take_digits(rest, &digits);
    if (n == 0 || n > DIGITS_BEHIND || str_to_u64(digits, 999, out) < 0)
        return -1;
    for (; n < DIGITS_BEHIND; n++)
        *out *= 10;
    return 0;
}

static uint64_t factor_of(struct str suffix)
{
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (str_is(suffix, units[i].suffix))
            return units[i].factor;
    return 0;
}

int quantity_parse(struct str s, uint64_t max, uint64_t *out)
{
    struct str rest = s, digits;
    unsigned long long whole, thousandths;
    uint64_t bytes, part;

    if (take_digits(&rest, &digits) == 0 || str_to_u64(digits, UINT64_MAX, &whole) < 0 ||
        take_thousandths(&rest, &thousandths) < 0)
        return -1;
    uint64_t factor = factor_of(rest);
    if (factor == 0 || __builtin_mul_overflow(whole, factor, &bytes))
        return -1;
    part = factor / 1000 * thousandths + factor % 1000 * thousandths / 1000;
    if (__builtin_add_overflow(bytes, part, &bytes) || bytes > max)
        return -1;
    *out = bytes;
    return 0;
}

int portion_parse(struct str s, struct portion *out)
{
    unsigned long long percent;

    *out = (struct portion){0};
    if (s.n && s.p[s.n - 1] == '%') {
        if (str_to_u64((struct str){s.p, s.n - 1}, 100, &percent) < 0 || percent == 0)
            return -1;
        out->percent = (unsigned)percent;
        return 0;
    }
    return quantity_parse(s, PORTION_MAX, &out->bytes) < 0 || out->bytes < PORTION_MIN ? -1 : 0;
}

uint64_t portion_of(const struct portion *p, uint64_t whole)
{
    uint64_t bytes = p->percent ? whole / 100 * p->percent + whole % 100 * p->percent / 100 : p->bytes;
    return bytes < whole ? bytes : whole;
}
