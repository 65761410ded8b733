/* Forms: whatever comes, however it is cut, the same parts come of it, and no more bytes than were sent. */
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "fuzz/fuzz.h"
#include "server/content/form.h"

static int begin(void *arg, const struct form_part *p, struct error **err)
{
    buffer_printf(arg, "[%s|%s|", p->name, p->file_name ? p->file_name : "-");
    return 0;
}

static int data(void *arg, const char *p, size_t n, struct error **err)
{
    buffer_append(arg, p, n);
    return 0;
}

static int end(void *arg, struct error **err)
{
    buffer_puts(arg, "]");
    return 0;
}

static const struct form_ops ops = {begin, data, end};

static int read_in(const char *type, const char *p, size_t n, size_t size, struct buffer *out)
{
    _cleanup_form_ struct form *f = form_new(type, &ops, out, NULL);
    int rc = f ? 0 : -1;

    for (size_t at = 0; rc == 0 && at < n; at += size)
        rc = form_feed(f, p + at, n - at < size ? n - at : size, NULL);
    return rc == 0 ? form_finish(f, NULL) : rc;
}

/* The first line is the media type, its first byte the size of a piece. */
void fuzz_one(const uint8_t *bytes, size_t size)
{
    struct str rest = {(const char *)bytes, size}, line;
    struct buffer whole = BUFFER_MAX(1 << 24), cut = BUFFER_MAX(1 << 24);

    if (size < 2 || !str_split(&rest, '\n', &line) || line.n < 2)
        return;
    size_t piece = (unsigned char)line.p[0] ? (unsigned char)line.p[0] : 1;
    _cleanup_free_ char *type = xstrndup(line.p + 1, line.n - 1);
    int a = read_in(type, rest.p ? rest.p : "", rest.n, rest.n + 1, &whole);
    int b = read_in(type, rest.p ? rest.p : "", rest.n, piece, &cut);
    if (a != b || (a == 0 && !str_equal(buffer_str(&whole), buffer_str(&cut))))
        abort();
    buffer_free(&whole);
    buffer_free(&cut);
}
