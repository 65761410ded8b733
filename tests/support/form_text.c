#include "support/form_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "server/content/form.h"

static int begin(void *arg, const struct form_part *p, struct error **err)
{
    if (streq(p->name, "refused"))
        return error_set(err, REASON_FORBIDDEN, "not this one");
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

/* From copies of just their size, so that a sanitizer sees whoever reads behind a piece. */
static int feed(struct form *f, const char *p, size_t n, size_t size, struct error **err)
{
    size_t rest = n % size;
    _cleanup_free_ char *piece = xmalloc(size), *last = xmalloc(rest ? rest : 1);

    for (; n >= size; p += size, n -= size) {
        memcpy(piece, p, size);
        if (form_feed(f, piece, size, err) < 0)
            return -1;
    }
    memcpy(last, p, rest);
    return rest ? form_feed(f, last, rest, err) : 0;
}

int form_text(const char *type, const char *p, size_t n, size_t size, struct buffer *out, struct error **err)
{
    _cleanup_form_ struct form *f = form_new(type, &ops, out, err);

    return f == NULL || feed(f, p, n, size, err) < 0 ? -1 : form_finish(f, err);
}
