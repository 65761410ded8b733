#include "base/encoding.h"

#include <sodium.h>

#include "base/alloc.h"

static char *sodium_encode(const void *p, size_t n, int variant)
{
    size_t size = sodium_base64_encoded_len(n, variant);
    char *out = xmalloc(size);
    sodium_bin2base64(out, size, p, n, variant);
    return out;
}

char *hex_encode(const void *p, size_t n)
{
    char *out = xmalloc(2 * n + 1);
    sodium_bin2hex(out, 2 * n + 1, p, n);
    return out;
}

char *base64_encode(const void *p, size_t n)
{
    return sodium_encode(p, n, sodium_base64_VARIANT_ORIGINAL);
}

char *base64url_encode(const void *p, size_t n)
{
    return sodium_encode(p, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

char *base64_decode(struct str s, size_t *n)
{
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    _cleanup_free_ unsigned char *out = xmalloc(s.n + 1);
    static const int variants[] = {sodium_base64_VARIANT_ORIGINAL_NO_PADDING, sodium_base64_VARIANT_URLSAFE_NO_PADDING};
    for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
        if (sodium_base642bin(out, s.n, s.p, s.n, NULL, n, NULL, variants[i]) == 0) {
            out[*n] = '\0';
            return (char *)steal_ptr(out);
        }
    }
    return NULL;
}

int hex_value(char c)
{
    if (ascii_isdigit(c))
        return c - '0';
    c = ascii_tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *percent_decode(struct str s, bool plus)
{
    _cleanup_free_ char *out = xmalloc(s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '+' && plus) {
            out[n++] = ' ';
        } else if (s.p[i] != '%') {
            out[n++] = s.p[i];
        } else {
            int high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
            int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0))
                return NULL;
            out[n++] = (char)(high * 16 + low);
            i += 2;
        }
    }
    out[n] = '\0';
    return steal_ptr(out);
}

void buffer_percent_encode(struct buffer *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
            buffer_append(b, &c, 1);
        else
            buffer_printf(b, "%%%02X", (unsigned char)c);
    }
}
