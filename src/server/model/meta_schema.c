#include "server/model/meta_schema.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"

/* ObjectMeta is compiled by schema_node_compile and so holds no $ref; the others may. */
static const char schemas_text[] =
    "{\"ObjectMeta\":{\"type\":\"object\",\"description\":\"What every object has: its name, labels, and what the "
    "server "
    "knows of its life.\",\"properties\":{"
    "\"name\":{\"type\":\"string\",\"description\":\"The object's name, unique among the objects of its kind. It "
    "cannot be "
    "changed.\"},"
    "\"generateName\":{\"type\":\"string\",\"description\":\"Where no name is given, the beginning of one that the "
    "server "
    "makes up.\"},"
    "\"namespace\":{\"type\":\"string\",\"description\":\"Always empty: these objects belong to no namespace.\"},"
    "\"selfLink\":{\"type\":\"string\",\"description\":\"Not used any more.\"},"
    "\"uid\":{\"type\":\"string\",\"description\":\"Tells this object from all others that had or will have its name. "
    "Set by "
    "the server.\"},"
    "\"resourceVersion\":{\"type\":\"string\",\"description\":\"Changes with every write. Sent back in an update, it "
    "makes "
    "sure that nothing newer is overwritten.\"},"
    "\"generation\":{\"type\":\"integer\",\"format\":\"int64\",\"description\":\"Counts the changes of what is wanted "
    "(spec). Set by the server.\"},"
    "\"creationTimestamp\":{\"type\":\"string\",\"format\":\"date-time\",\"description\":\"When the object was "
    "created. Set "
    "by the server.\"},"
    "\"deletionTimestamp\":{\"type\":\"string\",\"format\":\"date-time\",\"description\":\"When its deletion was asked "
    "for; "
    "it goes when no finalizers are left. Set by the server.\"},"
    "\"deletionGracePeriodSeconds\":{\"type\":\"integer\",\"format\":\"int64\",\"description\":\"Set by the server "
    "together "
    "with deletionTimestamp.\"},"
    "\"labels\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},\"description\":\"Short values by "
    "which "
    "objects are selected.\"},"
    "\"annotations\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},\"description\":\"Texts that "
    "programs keep with the object.\"},"
    "\"finalizers\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"x-kubernetes-list-type\":\"set\","
    "\"description\":"
    "\"Who still has to clean up before a deleted object goes.\"},"
    "\"ownerReferences\":{\"type\":\"array\",\"description\":\"Objects on which this one "
    "depends.\",\"items\":{\"type\":"
    "\"object\",\"properties\":{"
    "\"apiVersion\":{\"type\":\"string\",\"description\":\"The owner's API group and version.\"},"
    "\"kind\":{\"type\":\"string\",\"description\":\"The owner's kind.\"},"
    "\"name\":{\"type\":\"string\",\"description\":\"The owner's name.\"},"
    "\"uid\":{\"type\":\"string\",\"description\":\"The owner's uid.\"},"
    "\"controller\":{\"type\":\"boolean\",\"description\":\"Whether the owner manages this object.\"},"
    "\"blockOwnerDeletion\":{\"type\":\"boolean\",\"description\":\"Whether the owner has to stay until this object "
    "has "
    "gone.\"}}}},"
    "\"managedFields\":{\"type\":\"array\",\"description\":\"Which program set which fields.\",\"items\":{\"type\":"
    "\"object\",\"properties\":{"
    "\"manager\":{\"type\":\"string\"},\"operation\":{\"type\":\"string\"},\"apiVersion\":{\"type\":\"string\"},"
    "\"time\":{\"type\":\"string\",\"format\":\"date-time\"},\"fieldsType\":{\"type\":\"string\"},"
    "\"fieldsV1\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true},"
    "\"subresource\":{\"type\":\"string\"}}}}}},"

    "\"ListMeta\":{\"type\":\"object\",\"description\":\"What every list has.\",\"properties\":{"
    "\"resourceVersion\":{\"type\":\"string\",\"description\":\"The state that the list shows; a watch goes on from "
    "it.\"},"
    "\"continue\":{\"type\":\"string\",\"description\":\"Asks for the next page.\"},"
    "\"remainingItemCount\":{\"type\":\"integer\",\"format\":\"int64\",\"description\":\"How many objects follow on "
    "later "
    "pages.\"},\"selfLink\":{\"type\":\"string\"}}},"

    "\"StatusCause\":{\"type\":\"object\",\"properties\":{\"reason\":{\"type\":\"string\"},\"message\":{\"type\":"
    "\"string\"}"
    ",\"field\":{\"type\":\"string\",\"description\":\"The field that caused it, as a path.\"}}},"
    "\"StatusDetails\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"group\":{\"type\":"
    "\"string\"},"
    "\"kind\":{\"type\":\"string\"},\"uid\":{\"type\":\"string\"},\"retryAfterSeconds\":{\"type\":\"integer\","
    "\"format\":"
    "\"int32\"},\"causes\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/"
    "io.k8s.apimachinery.pkg.apis.meta.v1.StatusCause\"}}}},"
    "\"Status\":{\"type\":\"object\",\"description\":\"The answer to a call that returns no object, errors above "
    "all.\","
    "\"properties\":{\"apiVersion\":{\"type\":\"string\"},\"kind\":{\"type\":\"string\"},\"metadata\":{\"$ref\":"
    "\"#/components/schemas/"
    "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta\"},\"status\":{\"type\":\"string\"},\"message\":{"
    "\"type\":\"string\"},\"reason\":{\"type\":\"string\"},\"details\":{\"$ref\":\"#/components/schemas/"
    "io.k8s.apimachinery.pkg.apis.meta.v1.StatusDetails\"},\"code\":{\"type\":\"integer\",\"format\":\"int32\"}},"
    "\"x-kubernetes-group-version-kind\":[{\"group\":\"\",\"kind\":\"Status\",\"version\":\"v1\"}]},"

    "\"Preconditions\":{\"type\":\"object\",\"properties\":{\"uid\":{\"type\":\"string\"},\"resourceVersion\":{"
    "\"type\":"
    "\"string\"}}},"
    "\"DeleteOptions\":{\"type\":\"object\",\"properties\":{\"apiVersion\":{\"type\":\"string\"},\"kind\":{\"type\":"
    "\"string\"},\"dryRun\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"gracePeriodSeconds\":{\"type\":"
    "\"integer\",\"format\":\"int64\"},\"orphanDependents\":{\"type\":\"boolean\"},\"propagationPolicy\":{\"type\":"
    "\"string\"},\"preconditions\":{\"$ref\":\"#/components/schemas/"
    "io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions\"}}},"
    "\"Patch\":{\"type\":\"object\",\"description\":\"A patch of the body's media type.\"}}";

static pthread_once_t once = PTHREAD_ONCE_INIT;
static yyjson_doc *document;
static struct arena *arena; /* of object_node; for good */
static const struct schema_node *object_node;

static void make(void)
{
    struct error *err = NULL;

    document = json_parse((struct str){schemas_text, sizeof(schemas_text) - 1}, &err);
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
    pthread_once(&once, make);
    return object_node;
}

yyjson_val *meta_schemas(void)
{
    pthread_once(&once, make);
    return yyjson_doc_get_root(document);
}
