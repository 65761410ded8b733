#include "server/api/findings.h"

#include "base/alloc.h"

#define FINDINGS_MAX ((size_t)16384)

static void free_findings(void *findings)
{
    struct field_findings *f = findings;

    buffer_free(&f->unknown);
    buffer_free(&f->duplicate);
}

static void findings_init(struct field_findings *f, struct admission *warned)
{
    *f = (struct field_findings){
        .warned = warned, .unknown = BUFFER_MAX(FINDINGS_MAX), .duplicate = BUFFER_MAX(FINDINGS_MAX)};
    arena_defer(warned->arena, free_findings, f);
}

void field_findings_ignore(struct field_findings *f)
{
    *f = (struct field_findings){.mode = FIELDS_IGNORE};
}

void field_findings_copy(struct field_findings *to, struct admission *warned, const struct field_findings *from)
{
    findings_init(to, warned);
    to->mode = from->mode;
    if (from->unknown.n)
        buffer_add(&to->unknown, buffer_str(&from->unknown));
    if (from->duplicate.n)
        buffer_add(&to->duplicate, buffer_str(&from->duplicate));
}

int field_findings_begin(const struct operation *op, struct admission *warned, struct field_findings *f,
                         struct error **err)
{
    const char *text = op ? operation_parameter(op, "fieldValidation") : "Ignore";

    findings_init(f, warned);
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

static void report_field(struct field_findings *f, struct buffer *list, const char *what, const char *path)
{
    _cleanup_free_ char *text = NULL;

    if (f->mode == FIELDS_IGNORE)
        return;
    text = xasprintf("%s field \"%s\"", what, path);
    if (f->mode == FIELDS_WARN) {
        admission_warn(f->warned, "%s", text);
        return;
    }
    if (list->n)
        buffer_puts(list, ", ");
    buffer_puts(list, text);
}

void field_is_unknown(void *findings, const char *path)
{
    struct field_findings *f = findings;
    report_field(f, &f->unknown, "unknown", path);
}

void field_is_duplicate(void *findings, const char *path)
{
    struct field_findings *f = findings;
    report_field(f, &f->duplicate, "duplicate", path);
}

int field_findings_end(const struct field_findings *f, struct error **err)
{
    size_t unknown = f->unknown.n, duplicate = f->duplicate.n;

    if (f->mode != FIELDS_STRICT || (unknown == 0 && duplicate == 0))
        return 0;
    return error_set(err, REASON_BAD_REQUEST, "strict decoding error: %s%s%s", unknown ? f->unknown.p : "",
                     unknown && duplicate ? ", " : "", duplicate ? f->duplicate.p : "");
}
