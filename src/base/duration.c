#include "base/duration.h"

#include <stddef.h>
#include <stdio.h>

static const struct unit {
    char letter;
    unsigned seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

static unsigned unit_of(char letter)
{
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (units[i].letter == letter)
            return units[i].seconds;
    return 0;
}

int duration_parse(struct str s, uint64_t max, uint64_t *seconds)
{
    unsigned unit = s.n ? unit_of(s.p[s.n - 1]) : 0;
    unsigned long long n;

    *seconds = 0;
    if (str_is(s, "never"))
        return 0;
    if (str_to_u64((struct str){s.p, s.n - (unit != 0)}, UINT32_MAX, &n) < 0 || n * (unit ? unit : 1) > max)
        return -1;
    *seconds = n * (unit ? unit : 1);
    return 0;
}

void duration_say(char out[static DURATION_SIZE], uint64_t seconds)
{
    const struct unit *u = units;

    /* Days are counted from two on: «24 h» is what people say. */
    while (u->seconds > 1 && (seconds % u->seconds || seconds < u->seconds || (u->letter == 'd' && seconds < 172800)))
        u++;
    snprintf(out, DURATION_SIZE, "%llu %s", (unsigned long long)(seconds / u->seconds),
             u->letter == 'm' ? "min" : (const char[]){u->letter, '\0'});
}
