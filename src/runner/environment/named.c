#include "runner/environment/named.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/io.h"
#include "base/str.h"

#define FILE_MAX_BYTES (4u << 20)

char *named_file(struct arena *a, const char *data)
{
    return arena_printf(a, "%s/images", data);
}

int named_read(struct arena *a, const char *file, struct named_image **out, size_t *n, struct error **err)
{
    *n = 0;
    *out = NULL;
    if (!path_exists(file))
        return 0;
    size_t size;
    _cleanup_free_ char *text = read_file(file, FILE_MAX_BYTES, &size, err);
    if (text == NULL)
        return -1;
    struct str rest = {text, size}, line, id;
    *out = arena_alloc(a, (size / 4 + 1) * sizeof(**out));
    while (str_split(&rest, '\n', &line))
        if (str_split(&line, ' ', &id) && id.n && line.n)
            (*out)[(*n)++] = (struct named_image){arena_strndup(a, id.p, id.n), arena_strndup(a, line.p, line.n)};
    return 0;
}

int named_write(const char *file, const struct named_image *list, size_t n, struct error **err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_MAX(FILE_MAX_BYTES);

    for (size_t i = 0; i < n; i++)
        buffer_printf(&text, "%s %s\n", list[i].id, list[i].reference);
    if (text.overflow)
        return error_set(err, REASON_INTERNAL, "%s would hold more than %u bytes", file, FILE_MAX_BYTES);
    return write_file_atomic(file, buffer_str(&text), 0600, err);
}

int named_add(const char *file, const char *id, const char *reference, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct named_image *list;
    size_t n;

    if (named_read(a, file, &list, &n, err) < 0)
        return -1;
    struct named_image *more = arena_alloc(a, (n + 1) * sizeof(*more));
    for (size_t i = 0; i < n; i++) {
        if (streq(list[i].id, id) && streq(list[i].reference, reference))
            return 0;
        more[i] = list[i];
    }
    more[n] = (struct named_image){id, reference};
    return named_write(file, more, n + 1, err);
}
