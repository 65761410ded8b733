#include "server/content/form.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/encoding.h"
#include "base/text.h"

#define BOUNDARY_MAX 70 /* RFC 2046 §5.1.1 */

enum form_state {
    PREAMBLE,       /* before the first boundary; dropped */
    AFTER_BOUNDARY, /* blanks and a line's end, or «--» */
    HEADERS,
    CONTENT,
    EPILOGUE, /* after the last boundary; dropped */
};

struct form {
    const struct form_ops *ops;
    void *arg;
    enum form_state state;
    char delimiter[BOUNDARY_MAX + 5]; /* CR LF "--" boundary */
    size_t delimiter_n;
    size_t matched; /* bytes of the delimiter that what came last may be */
    char after[2];  /* what came behind a boundary */
    size_t after_n;
    struct buffer headers;
    unsigned parts;
};

static int malformed(const char *what, struct error **err)
{
    return error_set(err, REASON_BAD_REQUEST, "Failed to parse multipart form: %s", what);
}

/* --- Parameters of a header: name="value"; name=value --- */

static bool is_separator(char c)
{
    return c == ';' || ascii_isspace(c);
}

/* A backslash goes before what would end the text; Windows' paths, which browsers of old sent, have others too. */
static char *take_quoted(struct str *rest)
{
    char *out = xmalloc(rest->n + 1);
    size_t n = 0, i = 1;

    for (; i < rest->n && rest->p[i] != '"'; i++) {
        if (rest->p[i] == '\\' && i + 1 < rest->n && (rest->p[i + 1] == '"' || rest->p[i + 1] == '\\'))
            i++;
        out[n++] = rest->p[i];
    }
    if (i == rest->n) { /* not closed */
        free(out);
        return NULL;
    }
    out[n] = '\0';
    *rest = (struct str){rest->p + i + 1, rest->n - i - 1};
    return out;
}

static char *take_token(struct str *rest)
{
    size_t n = 0;

    while (n < rest->n && !is_separator(rest->p[n]))
        n++;
    char *out = xstrndup(rest->p, n);
    *rest = (struct str){rest->p + n, rest->n - n};
    return out;
}

/* The next parameter; the caller frees both. False: there is none, or it is none. */
static bool next_parameter(struct str *rest, char **name, char **value)
{
    while (rest->n && is_separator(rest->p[0]))
        *rest = (struct str){rest->p + 1, rest->n - 1};
    const char *equals = rest->n ? memchr(rest->p, '=', rest->n) : NULL;
    if (equals == NULL)
        return false;
    struct str left = str_trim((struct str){rest->p, (size_t)(equals - rest->p)});
    *rest = (struct str){equals + 1, rest->n - (size_t)(equals + 1 - rest->p)};
    *value = rest->n && rest->p[0] == '"' ? take_quoted(rest) : take_token(rest);
    *name = *value ? xstrndup(left.p, left.n) : NULL;
    return *value != NULL;
}

/* NULL: absent. The caller frees. */
static char *parameter_of(struct str header, const char *wanted)
{
    char *name, *value, *found = NULL;

    while (found == NULL && next_parameter(&header, &name, &value)) {
        if (strcasecmp(name, wanted) == 0)
            found = steal_ptr(value);
        free(name);
        free(value);
    }
    return found;
}

/* --- What is behind a boundary --- */

/* RFC 5987: charset'language'percent-encoded. */
static char *extended_value(const char *text)
{
    const char *first = text ? strchr(text, '\'') : NULL, *second = first ? strchr(first + 1, '\'') : NULL;

    if (second == NULL || strncasecmp(text, "utf-8", 5) != 0)
        return NULL;
    return percent_decode(str_from(second + 1), false);
}

/* Some send whole paths, of either system. */
static char *without_folders(char *name)
{
    char *base = name;

    for (char *c = name; *c; c++)
        if (*c == '/' || *c == '\\')
            base = c + 1;
    char *out = xstrdup(base);
    free(name);
    return out;
}

static char *file_name_of(struct str disposition)
{
    _cleanup_free_ char *extended = parameter_of(disposition, "filename*");
    char *name = extended_value(extended);

    if (name == NULL)
        name = parameter_of(disposition, "filename");
    return name ? without_folders(name) : NULL;
}

static int check_name(const char *what, const char *name, size_t max, struct error **err)
{
    if (strlen(name) <= max && text_is_plain(str_from(name), ""))
        return 0;
    return error_set(
        err, REASON_BAD_REQUEST,
        "Failed to parse multipart form: %s is longer than %zu bytes, no UTF-8, or holds control characters", what,
        max);
}

static int begin_part(struct form *f, struct str disposition, struct error **err)
{
    _cleanup_free_ char *name = parameter_of(disposition, "name"), *file_name = file_name_of(disposition);

    if (name == NULL)
        return malformed("a part has no name", err);
    if (check_name("the name of a field", name, FORM_NAME_MAX, err) < 0 ||
        (file_name && check_name("the name of a file", file_name, FORM_FILE_NAME_MAX, err) < 0))
        return -1;
    if (++f->parts > FORM_PARTS_MAX)
        return malformed("it has too many parts", err);
    const struct form_part part = {name, file_name};
    f->state = CONTENT;
    f->matched = 0;
    return f->ops->begin(f->arg, &part, err);
}

#define DISPOSITION "Content-Disposition:"
#define FORM_DATA "form-data"

static int read_headers(struct form *f, struct error **err)
{
    struct str rest = buffer_str(&f->headers), line;

    while (str_split(&rest, '\n', &line)) {
        if (line.n < strlen(DISPOSITION) || strncasecmp(line.p, DISPOSITION, strlen(DISPOSITION)) != 0)
            continue;
        struct str value = str_trim((struct str){line.p + strlen(DISPOSITION), line.n - strlen(DISPOSITION)});
        if (value.n < strlen(FORM_DATA) || strncasecmp(value.p, FORM_DATA, strlen(FORM_DATA)) != 0)
            break;
        return begin_part(f, (struct str){value.p + strlen(FORM_DATA), value.n - strlen(FORM_DATA)}, err);
    }
    return malformed("a part is no form data", err);
}

/* --- Bytes --- */

static int end_content(struct form *f, struct error **err)
{
    bool was_content = f->state == CONTENT;

    f->state = AFTER_BOUNDARY;
    f->matched = f->after_n = 0;
    return was_content ? f->ops->end(f->arg, err) : 0;
}

static int give_content(struct form *f, const char *p, size_t n, struct error **err)
{
    return n && f->state == CONTENT ? f->ops->data(f->arg, p, n, err) : 0;
}

/* Content up to where a delimiter may begin. */
static ssize_t plain_content(struct form *f, const char *p, size_t n, struct error **err)
{
    const char *cr = memchr(p, '\r', n);
    size_t m = cr ? (size_t)(cr - p) : n;

    if (give_content(f, p, m, err) < 0)
        return -1;
    f->matched = cr != NULL;
    return (ssize_t)(m + f->matched);
}

/* A delimiter begins with a CR and holds no other: where one turns out to be none, what matched is content, and the
 * next can begin with this very byte at the earliest. */
static ssize_t take_content(struct form *f, const char *p, size_t n, struct error **err)
{
    size_t i = 0;

    if (f->matched == 0)
        return plain_content(f, p, n, err);
    while (i < n && f->matched < f->delimiter_n && p[i] == f->delimiter[f->matched]) {
        i++;
        f->matched++;
    }
    if (f->matched == f->delimiter_n)
        return end_content(f, err) < 0 ? -1 : (ssize_t)i;
    if (i == n)
        return (ssize_t)i;
    size_t kept = f->matched;
    f->matched = 0;
    return give_content(f, f->delimiter, kept, err) < 0 ? -1 : (ssize_t)i;
}

/* «--» is the end; otherwise a line's end follows, perhaps after blanks. */
static int take_after_boundary(struct form *f, char c, struct error **err)
{
    if (f->after_n == 0 && (c == ' ' || c == '\t'))
        return 0;
    f->after[f->after_n++] = c;
    if (f->after_n < 2)
        return 0;
    if (memcmp(f->after, "--", 2) == 0) {
        f->state = EPILOGUE;
        return 0;
    }
    if (memcmp(f->after, "\r\n", 2) != 0)
        return malformed("a boundary is followed by other text", err);
    f->state = HEADERS;
    buffer_clear(&f->headers);
    return 0;
}

static int take_header(struct form *f, char c, struct error **err)
{
    buffer_append(&f->headers, &c, 1);
    if (f->headers.overflow)
        return malformed("the headers of a part are too large", err);
    size_t n = f->headers.n;
    bool over = c == '\n' && (n == 2 || (n >= 4 && memcmp(f->headers.p + n - 4, "\r\n\r\n", 4) == 0));
    return over ? read_headers(f, err) : 0;
}

static ssize_t take_some(struct form *f, const char *p, size_t n, struct error **err)
{
    switch (f->state) {
    case PREAMBLE:
    case CONTENT:
        return take_content(f, p, n, err);
    case AFTER_BOUNDARY:
        return take_after_boundary(f, *p, err) < 0 ? -1 : 1;
    case HEADERS:
        return take_header(f, *p, err) < 0 ? -1 : 1;
    case EPILOGUE:
        return (ssize_t)n;
    }
    return -1;
}

int form_feed(struct form *f, const char *p, size_t n, struct error **err)
{
    while (n) {
        ssize_t taken = take_some(f, p, n, err);
        if (taken < 0)
            return -1;
        p += taken;
        n -= (size_t)taken;
    }
    return 0;
}

int form_finish(const struct form *f, struct error **err)
{
    return f->state == EPILOGUE ? 0 : malformed("it ends before its last boundary", err);
}

struct form *form_new(const char *media_type, const struct form_ops *ops, void *arg, struct error **err)
{
    const char *semicolon = media_type ? strchr(media_type, ';') : NULL;
    _cleanup_free_ char *boundary = semicolon ? parameter_of(str_from(semicolon), "boundary") : NULL;

    if (boundary == NULL || *boundary == '\0' || strlen(boundary) > BOUNDARY_MAX || strpbrk(boundary, "\r\n")) {
        malformed("no multipart boundary param in Content-Type", err);
        return NULL;
    }
    struct form *f = xcalloc(1, sizeof(*f));
    f->ops = ops;
    f->arg = arg;
    f->delimiter_n = (size_t)snprintf(f->delimiter, sizeof(f->delimiter), "\r\n--%s", boundary);
    f->matched = 2; /* the first needs no line before it */
    f->headers = BUFFER_MAX(FORM_HEADERS_MAX);
    return f;
}

void form_free(struct form *f)
{
    if (f == NULL)
        return;
    buffer_free(&f->headers);
    free(f);
}
