#include "unpack/names.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

int names_open(struct names *n, struct error **err)
{
    n->gb18030 = iconv_open("UTF-8", "GB18030");
    return n->gb18030 == (iconv_t)-1 ? error_errno(err, errno, "tables of GB18030") : 0;
}

void names_close(struct names *n)
{
    iconv_close(n->gb18030);
}

static bool is_utf8(struct str s)
{
    for (size_t n; s.n; s.p += n, s.n -= n)
        if ((n = text_character(s)) == 0)
            return false;
    return true;
}

static int too_long(struct error **err)
{
    return error_set(err, REASON_BAD_REQUEST, "has a path of more than %d bytes", PATH_MAX - 1);
}

static int from_gb18030(const struct names *n, char *raw, size_t size, char *out, struct error **err)
{
    size_t room = PATH_MAX - 1;

    iconv(n->gb18030, NULL, NULL, NULL, NULL);
    size_t rc = iconv(n->gb18030, &raw, &size, &out, &room);
    *out = '\0';
    if (rc != (size_t)-1)
        return 0;
    return errno == E2BIG ? too_long(err)
                          : error_set(err, REASON_BAD_REQUEST, "has a name that is neither UTF-8 nor GB18030");
}

/* As UTF-8. */
static int decode(const struct names *n, const char *raw, char out[static PATH_MAX], struct error **err)
{
    char copy[PATH_MAX];
    size_t size = strlen(raw);

    if (size >= PATH_MAX)
        return too_long(err);
    memcpy(copy, raw, size + 1);
    if (!is_utf8((struct str){raw, size}))
        return from_gb18030(n, copy, size, out, err);
    memcpy(out, copy, size + 1);
    return 0;
}

static int add_component(struct entry_path *path, size_t *n, struct str name, struct error **err)
{
    if (name.n == 0 || str_is(name, "."))
        return 0;
    if (str_is(name, ".."))
        return error_set(err, REASON_BAD_REQUEST, "leads out of its folder (\"..\")");
    if (name.n > NAME_MAX)
        return error_set(err, REASON_BAD_REQUEST, "has a name of %zu bytes, and %d is the most", name.n, NAME_MAX);
    if (*n)
        path->text[(*n)++] = '/';
    memcpy(path->text + *n, name.p, name.n);
    *n += name.n;
    path->depth++;
    return 0;
}

int names_read(const struct names *n, const char *raw, bool backslash, struct entry_path *out, struct error **err)
{
    char whole[PATH_MAX];
    struct str part, rest;
    size_t used = 0;

    out->depth = 0;
    if (decode(n, raw, whole, err) < 0)
        return -1;
    for (char *p = whole; backslash && (p = strchr(p, '\\'));)
        *p = '/';
    if (!text_is_plain(str_from(whole), ""))
        return error_set(err, REASON_BAD_REQUEST, "has a control or direction character in its name");
    rest = str_from(whole);
    while (str_split(&rest, '/', &part))
        if (add_component(out, &used, part, err) < 0)
            return -1;
    out->text[used] = '\0';
    return 0;
}

bool names_left_out(const struct entry_path *path)
{
    const char *last = strrchr(path->text, '/');

    return streq(path->text, "__MACOSX") || starts_with(path->text, "__MACOSX/") ||
           streq(last ? last + 1 : path->text, ".DS_Store");
}
