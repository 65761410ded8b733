#include "server/api/body.h"

#include <strings.h>

#include "base/alloc.h"
#include "server/model/sent.h"

typedef yyjson_doc *parse_fn(struct str body, struct error **err);

/* Of the operation, without parameters; n == 0: none. */
static struct str media_type(const struct operation *op)
{
    struct str rest = str_from(op->media_type), type;

    return op->media_type && str_split(&rest, ';', &type) ? str_trim(type) : STR("");
}

static parse_fn *object_parser(struct str type)
{
    static const struct {
        const char *type;
        parse_fn *parse;
    } known[] = {
        {"application/json", sent_json_object},
        {"application/yaml", sent_yaml_object},
        {"application/x-yaml", sent_yaml_object},
    };

    if (type.n == 0)
        return sent_json_object;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (type.n == strlen(known[i].type) && strncasecmp(type.p, known[i].type, type.n) == 0)
            return known[i].parse;
    return NULL;
}

static int unsupported(const char *accepted, struct error **err)
{
    return error_set(err, REASON_UNSUPPORTED_MEDIA_TYPE,
                     "the body of the request was in an unknown format - accepted media types include: %s", accepted);
}

static int parse_body(struct request *r, parse_fn *parse, yyjson_doc **out, struct error **err)
{
    if (str_trim(r->op->body).n == 0)
        return error_set(err, REASON_BAD_REQUEST, "the request has no body");
    *out = parse(r->op->body, err);
    if (*out == NULL)
        return -1;
    json_keep(r->arena, *out);
    return 0;
}

int body_read_object(struct request *r, bool optional, yyjson_doc **out, struct error **err)
{
    parse_fn *parse = object_parser(media_type(r->op));

    *out = NULL;
    if (optional && r->op->body.n == 0)
        return 0;
    return parse ? parse_body(r, parse, out, err) : unsupported("application/json, application/yaml", err);
}

int body_read_patch(struct request *r, const struct patch_type **type, yyjson_doc **out, struct error **err)
{
    *type = patch_type_find(r->op->kind, media_type(r->op));
    if (*type)
        return parse_body(r, (*type)->parse, out, err);
    _cleanup_free_ char *accepted = patch_types_text(r->op->kind);
    /* RFC 5789 §3.1 */
    request_add_header(r, "Accept-Patch", accepted);
    return unsupported(accepted, err);
}
