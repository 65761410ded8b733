#include "server/model/sent.h"

#include "base/yaml.h"

static yyjson_doc *check_object(yyjson_doc *doc, struct error **err)
{
    if (doc == NULL) {
        (void)error_wrap(err, "the body of the request cannot be read");
    } else if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
        yyjson_doc_free(doc);
        doc = NULL;
        (void)error_set(err, REASON_BAD_REQUEST, "the body of the request is no JSON object");
    }
    return doc;
}

yyjson_doc *sent_json_object(struct str body, struct error **err)
{
    return check_object(json_parse(body, err), err);
}

yyjson_doc *sent_yaml_object(struct str body, struct error **err)
{
    return check_object(yaml_parse(body, NULL, err), err);
}
