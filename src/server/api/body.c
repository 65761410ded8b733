#include "server/api/body.h"

#include <strings.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/yaml.h"

#define FINDINGS_MAX ((size_t)16384)
/* Headers of an answer are kept in memory of the connection's own. */
#define WARNINGS_MAX ((size_t)4096)

static void free_doc(void *doc)
{
    yyjson_doc_free(doc);
}

enum format { FORMAT_JSON, FORMAT_YAML, FORMAT_MERGE_PATCH, FORMAT_OTHER };

static enum format read_format(const char *content_type)
{
    static const struct {
        const char *type;
        enum format format;
    } known[] = {
        {"application/json", FORMAT_JSON},
        {"application/yaml", FORMAT_YAML},
        {"application/x-yaml", FORMAT_YAML},
        {"application/merge-patch+json", FORMAT_MERGE_PATCH},
    };
    struct str rest = str_from(content_type), type;

    if (content_type == NULL || !str_split(&rest, ';', &type) || (type = str_trim(type)).n == 0)
        return FORMAT_JSON;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (type.n == strlen(known[i].type) && strncasecmp(type.p, known[i].type, type.n) == 0)
            return known[i].format;
    return FORMAT_OTHER;
}

static int unsupported(struct request *r, enum body_types types, struct error **err)
{
    const char *accepted = types == BODY_OBJECT ? "application/json, application/yaml" : "application/merge-patch+json";

    /* RFC 5789 §3.1 */
    if (types == BODY_MERGE_PATCH)
        request_add_header(r, "Accept-Patch", accepted);
    return error_set(err, REASON_UNSUPPORTED_MEDIA_TYPE,
                     "the body of the request was in an unknown format - accepted media types include: %s", accepted);
}

int body_read(struct request *r, enum body_types types, bool optional, yyjson_doc **out, struct error **err)
{
    struct str body = r->op->body;
    const char *content_type = r->op->media_type;
    enum format format = read_format(content_type);

    *out = NULL;
    if (optional && body.n == 0)
        return 0;
    bool fits = types == BODY_OBJECT ? format == FORMAT_JSON || format == FORMAT_YAML
                                     : format == FORMAT_MERGE_PATCH && content_type;
    if (!fits)
        return unsupported(r, types, err);
    if (str_trim(body).n == 0)
        return error_set(err, REASON_BAD_REQUEST, "the request has no body");
    yyjson_doc *doc = format == FORMAT_YAML ? yaml_parse(body, NULL, err) : json_parse(body, err);
    if (doc == NULL)
        return error_wrap(err, "the body of the request cannot be read");
    arena_defer(r->arena, free_doc, doc);
    if (!yyjson_is_obj(yyjson_doc_get_root(doc)))
        return error_set(err, REASON_BAD_REQUEST, "the body of the request is no JSON object");
    *out = doc;
    return 0;
}

static void free_findings(void *findings)
{
    struct field_findings *f = findings;

    buffer_free(&f->unknown);
    buffer_free(&f->duplicate);
}

int field_findings_begin(struct request *r, struct arena *a, struct field_findings *f, struct error **err)
{
    const char *text = r ? operation_parameter(r->op, "fieldValidation") : "Ignore";

    *f = (struct field_findings){.unknown = BUFFER_MAX(FINDINGS_MAX), .duplicate = BUFFER_MAX(FINDINGS_MAX), .r = r};
    arena_defer(a, free_findings, f);
    if (text == NULL || text[0] == '\0' || streq(text, "Warn"))
        f->mode = FIELDS_WARN;
    else if (streq(text, "Strict"))
        f->mode = FIELDS_STRICT;
    else if (streq(text, "Ignore"))
        f->mode = FIELDS_IGNORE;
    else
        return error_set(
            err, REASON_BAD_REQUEST,
            "fieldValidation: Unsupported value: \"%s\": supported values: \"Ignore\", \"Strict\", \"Warn\"", text);
    return 0;
}

static void find(struct field_findings *f, struct buffer *list, const char *what, const char *path)
{
    _cleanup_free_ char *text = NULL;

    if (f->mode == FIELDS_IGNORE)
        return;
    text = xasprintf("%s field \"%s\"", what, path);
    if (f->mode == FIELDS_WARN) {
        add_warning(f->r, text);
        return;
    }
    if (list->n)
        buffer_puts(list, ", ");
    buffer_puts(list, text);
}

void field_is_unknown(void *findings, const char *path)
{
    struct field_findings *f = findings;
    find(f, &f->unknown, "unknown", path);
}

void field_is_duplicate(void *findings, const char *path)
{
    struct field_findings *f = findings;
    find(f, &f->duplicate, "duplicate", path);
}

int field_findings_end(const struct field_findings *f, struct error **err)
{
    size_t unknown = f->unknown.n, duplicate = f->duplicate.n;

    if (f->mode != FIELDS_STRICT || (unknown == 0 && duplicate == 0))
        return 0;
    return error_set(err, REASON_BAD_REQUEST, "strict decoding error: %s%s%s", unknown ? f->unknown.p : "",
                     unknown && duplicate ? ", " : "", duplicate ? f->duplicate.p : "");
}

/* quoted-string of RFC 9110 §5.6.4; control characters would end the header, or steer the terminal that shows it. */
static void add_quoted(struct buffer *b, const char *text)
{
    _cleanup_free_ char *plain = xstrdup(text);
    size_t n = text_clean(plain, strlen(plain), "");

    buffer_puts(b, "299 - \"");
    for (size_t i = 0; i < n; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            buffer_append(b, "\\", 1);
        buffer_append(b, plain + i, 1);
    }
    buffer_puts(b, "\"");
}

void add_warning(struct request *r, const char *text)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(WARNINGS_MAX);

    if (r == NULL)
        return;
    add_quoted(&b, text);
    if (b.overflow || b.n > WARNINGS_MAX - r->warnings)
        return;
    r->warnings += b.n;
    request_add_header(r, "Warning", b.p);
}
