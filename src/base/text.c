#include "base/text.h"

#include <stdint.h>

size_t text_character(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.n == 0)
        return 0;
    size_t want = p[0] < 0x80                   ? 1
                  : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                  : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                  : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                : 0;
    if (want == 0 || want > s.n)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return want;
}

size_t text_cut(struct str s, size_t most)
{
    size_t n = s.n < most ? s.n : most;

    while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static uint32_t code_point(const char *s, size_t n)
{
    static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)s[0] & first[n];

    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)s[i] & 0x3f);
    return c;
}

static bool steers(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0, 0x1f}, {0x7f, 0x9f}, {0x61c, 0x61c}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}};

    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

static bool is_plain(const char *s, size_t n, const char *keep)
{
    return n && (!steers(code_point(s, n)) || (*s && strchr(keep, *s)));
}

/* Most of what there is, told without a look at the ranges. */
static bool is_printable_ascii(char c)
{
    return c >= ' ' && c <= '~';
}

bool text_is_plain(struct str s, const char *keep)
{
    for (size_t i = 0, n; i < s.n; i += n) {
        n = 1;
        if (is_printable_ascii(s.p[i]))
            continue;
        n = text_character((struct str){s.p + i, s.n - i});
        if (!is_plain(s.p + i, n, keep))
            return false;
    }
    return true;
}

size_t text_clean(char *s, size_t n, const char *keep)
{
    size_t out = 0, length;

    for (size_t i = 0; i < n; i += length ? length : 1) {
        length = 1;
        if (is_printable_ascii(s[i])) {
            s[out++] = s[i];
            continue;
        }
        length = text_character((struct str){s + i, n - i});
        if (is_plain(s + i, length, keep)) {
            memmove(s + out, s + i, length);
            out += length;
        } else {
            s[out++] = s[i] >= '\t' && s[i] <= '\r' ? ' ' : '?';
        }
    }
    return out;
}
