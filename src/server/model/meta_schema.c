#include "server/model/meta_schema.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/yaml.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static yyjson_doc *document;
static struct arena *arena; /* of object_node; for good */
static const struct schema_node *object_node;

static void make_meta_schemas(void)
{
    struct error *err = NULL;

    document = yaml_parse(meta_schema_sources[0].yaml, NULL, &err);
    arena = arena_new();
    if (document)
        object_node = schema_node_compile(arena, yyjson_obj_get(yyjson_doc_get_root(document), "ObjectMeta"),
                                          "ObjectMeta", false, &err);
    if (object_node == NULL) {
        log_error("%s", err->message);
        abort();
    }
}

const struct schema_node *meta_object_node(void)
{
    pthread_once(&once, make_meta_schemas);
    return object_node;
}

yyjson_val *meta_schemas(void)
{
    pthread_once(&once, make_meta_schemas);
    return yyjson_doc_get_root(document);
}
