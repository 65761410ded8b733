#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define US_PER_SECOND INT64_C(1000000)

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * US_PER_SECOND + ts.tv_nsec / 1000;
}

int64_t clock_realtime_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double clock_seconds_since(int64_t monotonic_us)
{
    return (double)(clock_monotonic_us() - monotonic_us) / 1e6;
}

static size_t format_seconds(char *out, int64_t realtime_us)
{
    struct tm tm;
    time_t seconds = (time_t)(realtime_us / US_PER_SECOND);

    gmtime_r(&seconds, &tm);
    return strftime(out, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
}

void timestamp(char out[static TIMESTAMP_SIZE], int64_t realtime_us)
{
    size_t n = format_seconds(out, realtime_us);
    snprintf(out + n, TIMESTAMP_SIZE - n, "Z");
}

void timestamp_micro(char out[static TIMESTAMP_SIZE], int64_t realtime_us)
{
    size_t n = format_seconds(out, realtime_us);
    snprintf(out + n, TIMESTAMP_SIZE - n, ".%06dZ", (int)(realtime_us % US_PER_SECOND));
}

static int digits(struct str s, size_t at, size_t count, int *out)
{
    unsigned long long value;

    if (at + count > s.n || str_to_u64((struct str){s.p + at, count}, 9999, &value) < 0)
        return -1;
    *out = (int)value;
    return 0;
}

/* Returns where it ends; past the end of `s` where there is a point and no digit. */
static size_t parse_fraction(struct str s, size_t at, int64_t *us)
{
    int64_t unit = US_PER_SECOND / 10;

    *us = 0;
    if (at >= s.n || s.p[at] != '.')
        return at;
    if (++at >= s.n || !ascii_isdigit(s.p[at]))
        return s.n;
    for (; at < s.n && ascii_isdigit(s.p[at]); at++, unit /= 10)
        *us += unit * (s.p[at] - '0');
    return at;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static int parse_zone(struct str s, size_t at, int *minutes)
{
    int h, m;

    if (at + 1 == s.n && (s.p[at] == 'Z' || s.p[at] == 'z')) {
        *minutes = 0;
        return 0;
    }
    if (at + 6 != s.n || (s.p[at] != '+' && s.p[at] != '-') || s.p[at + 3] != ':')
        return -1;
    if (digits(s, at + 1, 2, &h) < 0 || digits(s, at + 4, 2, &m) < 0 || h > 23 || m > 59)
        return -1;
    *minutes = (s.p[at] == '-' ? -1 : 1) * (h * 60 + m);
    return 0;
}

int timestamp_parse(struct str s, int64_t *realtime_us)
{
    struct tm tm = {0};
    int year, month, zone;
    int64_t fraction;

    if (digits(s, 0, 4, &year) || digits(s, 5, 2, &month) || digits(s, 8, 2, &tm.tm_mday) ||
        digits(s, 11, 2, &tm.tm_hour) || digits(s, 14, 2, &tm.tm_min) || digits(s, 17, 2, &tm.tm_sec))
        return -1;
    if (s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != 't') || s.p[13] != ':' || s.p[16] != ':')
        return -1;
    if (month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > days_of(year, month) || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return -1;
    size_t at = parse_fraction(s, 19, &fraction);
    if (at >= s.n || parse_zone(s, at, &zone) < 0)
        return -1;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *realtime_us = ((int64_t)timegm(&tm) - zone * 60) * US_PER_SECOND + fraction;
    return 0;
}
