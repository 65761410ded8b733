#include "server/accounts/names.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define FULL_WIDTH_FIRST 0xff01
#define FULL_WIDTH_LAST 0xff5e
#define FULL_WIDTH_OFFSET 0xfee0 /* to ASCII */

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The code point of a sequence of two or three bytes (RFC 3629); 0: it is none. */
static unsigned read_code_point(const char *p, size_t *n)
{
    unsigned char lead = (unsigned char)p[0];

    *n = lead >= 0xe0 && lead < 0xf0 ? 3 : 2;
    if (lead < 0xc2 || lead >= 0xf0 || !is_continuation(p[1]) || (*n == 3 && !is_continuation(p[2])))
        return 0;
    if (*n == 2)
        return (lead & 0x1fu) << 6 | ((unsigned char)p[1] & 0x3fu);
    return (lead & 0xfu) << 12 | ((unsigned char)p[1] & 0x3fu) << 6 | ((unsigned char)p[2] & 0x3fu);
}

/* No-break, ideographic, zero-width, byte order mark. */
static bool is_wide_blank(unsigned c)
{
    return c == 0xa0 || c == 0x3000 || c == 0x200b || c == 0xfeff;
}

/* Reads one character and returns what it counts as; 0: itself, `n` bytes of it. */
static char fold_character(const char *p, size_t *n)
{
    *n = 1;
    if ((unsigned char)p[0] < 0x80)
        return (unsigned char)p[0] <= 0x20 || p[0] == 0x7f ? ' ' : ascii_tolower(p[0]);
    unsigned c = read_code_point(p, n);
    if (c == 0)
        *n = 1;
    if (is_wide_blank(c))
        return ' ';
    return c >= FULL_WIDTH_FIRST && c <= FULL_WIDTH_LAST ? ascii_tolower((char)(c - FULL_WIDTH_OFFSET)) : '\0';
}

char *login_name(const char *typed)
{
    char *name = xmalloc(strlen(typed) + 1), *out = name;
    size_t n;

    for (; *typed; typed += n) {
        char c = fold_character(typed, &n);
        if (c == ' ' && out == name)
            continue;
        if (c)
            *out++ = c;
        else
            out = mempcpy(out, typed, n);
    }
    while (out > name && out[-1] == ' ')
        out--;
    *out = '\0';
    return name;
}

char *login_password(const char *typed)
{
    const char *end = typed + strlen(typed);

    typed += strspn(typed, "\r\n");
    while (end > typed && strchr("\r\n", end[-1]))
        end--;
    return xstrndup(typed, (size_t)(end - typed));
}
