#include <stdio.h>

#include "server/model/table.h"

struct unit {
    long long below; /* seconds: the first unit whose limit is not reached */
    long long size;
    char letter;
    long long part; /* of the second number; 0: none */
    char part_letter;
};

#define MINUTE 60LL
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)

/* kubectl's steps: two numbers only where the second still says something. */
static const struct unit units[] = {
    {2 * MINUTE, 1, 's', 0, 0},         {10 * MINUTE, MINUTE, 'm', 1, 's'}, {3 * HOUR, MINUTE, 'm', 0, 0},
    {8 * HOUR, HOUR, 'h', MINUTE, 'm'}, {2 * DAY, HOUR, 'h', 0, 0},         {8 * DAY, DAY, 'd', HOUR, 'h'},
    {2 * YEAR, DAY, 'd', 0, 0},         {8 * YEAR, YEAR, 'y', DAY, 'd'},    {INT64_MAX, YEAR, 'y', 0, 0},
};

void age_text(char out[static AGE_SIZE], int64_t us)
{
    long long seconds = us / 1000000, rest = 0;
    const struct unit *u = units;

    if (seconds < -1) { /* a second of grace for clocks that differ */
        snprintf(out, AGE_SIZE, "<invalid>");
        return;
    }
    if (seconds < 0)
        seconds = 0;
    while (seconds >= u->below)
        u++;
    if (u->part)
        rest = seconds % u->size / u->part;
    if (rest)
        snprintf(out, AGE_SIZE, "%lld%c%lld%c", seconds / u->size, u->letter, rest, u->part_letter);
    else
        snprintf(out, AGE_SIZE, "%lld%c", seconds / u->size, u->letter);
}
