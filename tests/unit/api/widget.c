/* The tests' kind. */
#include "unit/api/widget.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "unit/api/fixture.h"

const char widget_yaml[] = "apiVersion: apiextensions.k8s.io/v1\n"
                           "kind: CustomResourceDefinition\n"
                           "metadata:\n"
                           "  name: widgets.test.example.io\n"
                           "spec:\n"
                           "  group: test.example.io\n"
                           "  scope: Cluster\n"
                           "  x-open-hydra-owner: spec.owner\n"
                           "  x-open-hydra-max-bytes: 2621440\n"
                           "  x-open-hydra-owner-max-bytes: 32768\n"
                           "  x-open-hydra-subresources:\n"
                           "  - {name: ticket, kind: WidgetTicket, verbs: [create]}\n"
                           "  - {name: content, verbs: [update], private: true, streams: true, maxBytes: 1073741824}\n"
                           "  - {name: endpoint, kind: WidgetEndpoint, verbs: [update], private: true}\n"
                           "  names:\n"
                           "    plural: widgets\n"
                           "    singular: widget\n"
                           "    kind: Widget\n"
                           "    listKind: WidgetList\n"
                           "    shortNames: [wd]\n"
                           "    categories: [all-tests]\n"
                           "  versions:\n"
                           "  - name: v1\n"
                           "    served: true\n"
                           "    storage: true\n"
                           "    subresources:\n"
                           "      status: {}\n"
                           "    additionalPrinterColumns:\n"
                           "    - name: Size\n"
                           "      type: integer\n"
                           "      jsonPath: .spec.size\n"
                           "    - name: Phase\n"
                           "      type: string\n"
                           "      jsonPath: .status.phase\n"
                           "    - name: Age\n"
                           "      type: date\n"
                           "      jsonPath: .metadata.creationTimestamp\n"
                           "    schema:\n"
                           "      openAPIV3Schema:\n"
                           "        type: object\n"
                           "        description: A widget is what tests are made of.\n"
                           "        required: [spec]\n"
                           "        properties:\n"
                           "          apiVersion:\n"
                           "            type: string\n"
                           "          kind:\n"
                           "            type: string\n"
                           "          metadata:\n"
                           "            type: object\n"
                           "          spec:\n"
                           "            type: object\n"
                           "            properties:\n"
                           "              size:\n"
                           "                type: integer\n"
                           "                minimum: 1\n"
                           "                maximum: 100\n"
                           "                default: 7\n"
                           "                description: How large it is.\n"
                           "              colour:\n"
                           "                type: string\n"
                           "              owner:\n"
                           "                type: string\n"
                           "              shape:\n"
                           "                type: string\n"
                           "                x-open-hydra-immutable: true\n"
                           "              secret:\n"
                           "                type: string\n"
                           "                x-open-hydra-write-only: true\n"
                           "              address:\n"
                           "                type: string\n"
                           "                x-open-hydra-output-only: true\n"
                           "              free:\n"
                           "                type: object\n"
                           "                x-kubernetes-preserve-unknown-fields: true\n"
                           "              box:\n"
                           "                type: object\n"
                           "                x-kubernetes-preserve-unknown-fields: true\n"
                           "                x-open-hydra-max-bytes: 1000\n"
                           "              hold:\n"
                           "                type: boolean\n"
                           "          status:\n"
                           "            type: object\n"
                           "            properties:\n"
                           "              phase:\n"
                           "                type: string\n"
                           "                enum: [Small, Large]\n"
                           "              note:\n"
                           "                type: string\n";

struct seen seen;

static int prepare(struct admission *a, const char *name, struct error **err)
{
    seen.prepared++;
    if (streq(a->secrets[0], "refuse"))
        return error_add_cause(err, "spec.secret", "FieldValueInvalid", "this one is refused");
    a->prepared = arena_printf(a->arena, "hash of %s", a->secrets[0]);
    return 0;
}

static int admit(struct admission *a, struct store_txn *t, struct error **err)
{
    const char *uid = json_mut_str_at(a->object, "metadata.uid"), *colour = json_mut_str_at(a->object, "spec.colour");

    seen.admitted++;
    seen.operation = a->operation;
    seen.dry_run = a->dry_run;
    seen.had_old = a->old != NULL;
    if (streq(colour, "forbidden"))
        return error_set(err, REASON_FORBIDDEN, "no such colour here");
    if (streq(colour, "odd"))
        admission_warn(a, "an odd \"colour\"\n");
    if (a->operation == OPERATION_DELETE && streq(colour, "keep"))
        return error_set(err, REASON_FORBIDDEN, "this widget is kept");
    if (a->operation == OPERATION_CREATE && yyjson_mut_get_bool(json_mut_at(a->object, "spec.hold"))) {
        yyjson_mut_val *list = yyjson_mut_arr(a->doc);
        yyjson_mut_arr_add_str(a->doc, list, "test.example.io/hold");
        json_mut_set(a->doc, json_mut_make_obj(a->doc, a->object, "metadata"), "finalizers", list);
    }
    if (a->operation == OPERATION_UPDATE_STATUS)
        json_mut_set_str(a->doc, json_mut_make_obj(a->doc, a->object, "spec"), "address", "somewhere");
    if (a->prepared) {
        snprintf(seen.secret, sizeof(seen.secret), "%s", a->secrets[0]);
        txn_secret_put(t, "widget", str_from(uid), str_from(a->prepared));
    }
    return 0;
}

static int removed(struct admission *a, struct store_txn *t, struct error **err)
{
    seen.removed++;
    txn_secret_delete(t, "widget", str_from(json_mut_str_at(a->object, "metadata.uid")));
    return 0;
}

static void ticket(struct request *r, struct object *object, void *context)
{
    _cleanup_free_ char *text = xasprintf("%s for %s", object->name, request_operation(r)->who.name);
    request_reply(r, 201, "text/plain", str_from(text));
}

/* Counts what comes, slowly: every other time it takes nothing, and is woken. */
struct content {
    struct sink sink;
    struct request *r;
    size_t bytes, calls;
};

static ssize_t content_write(struct sink *s, const char *p, size_t n)
{
    struct content *c = container_of(s, struct content, sink);

    if (++c->calls % 2) {
        sink_wake(s);
        return 0;
    }
    c->bytes += n;
    return p[0] == '!' ? -1 : (ssize_t)n;
}

static void content_end(struct sink *s, const struct error *why)
{
    struct content *c = container_of(s, struct content, sink);
    struct error *err = NULL;
    char text[64];

    snprintf(text, sizeof(text), "%zu bytes", c->bytes);
    if (why == NULL)
        return request_reply(c->r, 200, "text/plain", str_from(text));
    error_set(&err, REASON_BAD_REQUEST, "cut after %s", text);
    request_fail(c->r, err);
}

static void content(struct request *r, struct object *object, void *context)
{
    struct content *c = arena_alloc(request_operation(r)->arena, sizeof(*c));

    *c = (struct content){.sink = {.write = content_write, .end = content_end}, .r = r};
    if (request_operation(r)->receive == NULL)
        return request_reply(r, 200, "text/plain", STR("nothing comes"));
    request_receive(r, &c->sink);
}

static const struct subresource_handler subresources[] = {
    {"ticket", FLOW_REQUESTS, ticket},
    {"endpoint", FLOW_REQUESTS, ticket},
    {"content", FLOW_REQUESTS, content},
    {0},
};

const struct kind_hooks widget_hooks = {
    .prepare = prepare, .admit = admit, .removed = removed, .subresources = subresources};
