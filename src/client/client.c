#include "client/client.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "client/lines.h"

#define MAX_LINE (8u << 20) /* one watch event */
#define CONFLICT_TRIES 8

struct client {
    struct transport *transport;
    char *prefix;
    int stop_fd;
    unsigned call_ms;
};

struct client *client_new(const struct client_options *options)
{
    struct client *c = xcalloc(1, sizeof(*c));
    c->transport = transport_new(&options->transport);
    c->prefix = xstrdup(options->prefix);
    c->stop_fd = options->stop_fd;
    c->call_ms = options->call_ms ? options->call_ms : CLIENT_CALL_MS;
    return c;
}

void client_free(struct client *c)
{
    if (c == NULL)
        return;
    transport_free(c->transport);
    free(c->prefix);
    free(c);
}

int client_stop_fd(const struct client *c)
{
    return c->stop_fd;
}

unsigned client_call_ms(const struct client *c)
{
    return c->call_ms;
}

uint64_t object_version(yyjson_val *object)
{
    const char *s = json_str_at(object, "metadata.resourceVersion");
    unsigned long long n;
    return s && str_to_u64(str_from(s), UINT64_MAX, &n) == 0 ? n : 0;
}

static enum reason reason_of(unsigned code, const char *name)
{
    for (enum reason r = REASON_BAD_REQUEST; r <= REASON_TIMEOUT; r++)
        if (reason_code(r) == code && (name == NULL || strcmp(reason_name(r), name) == 0))
            return r;
    if (name)
        return reason_of(code, NULL);
    return code / 100 == 4 ? REASON_BAD_REQUEST : REASON_SERVICE_UNAVAILABLE;
}

static int status_error(const struct client_request *r, const struct answer *a, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&a->body), NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *message = json_str_at(root, "message");

    return error_set(err, reason_of(a->status, json_str_at(root, "reason")), "%s %s (%u): %.500s", r->method, r->path,
                     a->status, message ? message : "no reason given");
}

int client_call(struct client *c, const struct client_request *r, yyjson_doc **answer, struct error **err)
{
    _cleanup_answer_ struct answer a = {0};
    _cleanup_free_ char *path = xasprintf("%s/%s", c->prefix, r->path);
    _cleanup_free_ char *body = NULL;
    struct call call = {
        .method = r->method, .path = path, .timeout_ms = c->call_ms, .stop_fd = c->stop_fd, .max_body = 64u << 20};

    if (r->body) {
        body = json_mut_write(yyjson_mut_doc_get_root(r->body), &call.body.n);
        call.body.p = body;
        call.content_type = r->content_type ? r->content_type : "application/json";
    }
    if (transport_call(c->transport, &call, &a, err) < 0)
        return error_wrap(err, "the server does not answer");
    if (a.status / 100 != 2)
        return status_error(r, &a, err);
    if (answer == NULL)
        return 0;
    *answer = json_parse(buffer_str(&a.body), err);
    return *answer ? 0 : error_wrap(err, "the server's answer to %s %s", r->method, r->path);
}

static const char *object_path(struct arena *a, const struct object_ref *ref, const char *subresource)
{
    return arena_printf(a, "%s/%s%s%s", ref->plural, ref->name, subresource ? "/" : "", subresource ? subresource : "");
}

/* The object as it is now. NotFound where another one bears the name by now. */
static int get_same(struct client *c, struct arena *a, const struct object_ref *ref, yyjson_doc **out,
                    struct error **err)
{
    struct client_request r = {"GET", object_path(a, ref, NULL), NULL, NULL};

    if (client_call(c, &r, out, err) < 0)
        return -1;
    if (streq(json_str_at(yyjson_doc_get_root(*out), "metadata.uid"), ref->uid))
        return 0;
    yyjson_doc_free(*out);
    *out = NULL;
    return error_set(err, REASON_NOT_FOUND, "%s \"%s\" is another one by now", ref->plural, ref->name);
}

bool client_is_gone(struct client *c, const struct object_ref *ref, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_ yyjson_doc *doc = NULL;
    _cleanup_error_ struct error *why = NULL;

    if (get_same(c, a, ref, &doc, &why) == 0)
        return error_set(err, REASON_CONFLICT, "%s \"%s\" is there", ref->plural, ref->name), false;
    if (why->reason == REASON_NOT_FOUND)
        return true;
    return error_set(err, why->reason, "%s", why->message), false;
}

static yyjson_mut_doc *patch_begin(yyjson_val *object, yyjson_mut_val **root)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

    *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, *root);
    yyjson_mut_val *metadata = json_mut_make_obj(doc, *root, "metadata");
    json_mut_set_str(doc, metadata, "resourceVersion", json_str_at(object, "metadata.resourceVersion"));
    return doc;
}

static int patch(struct client *c, const char *path, yyjson_mut_doc *doc, yyjson_doc **answer, struct error **err)
{
    struct client_request r = {"PATCH", path, "application/merge-patch+json", doc};
    return client_call(c, &r, answer, err);
}

static int patch_status_once(struct client *c, const char *path, yyjson_val *object, client_fill *fill, void *arg,
                             yyjson_doc **answer, struct error **err)
{
    yyjson_mut_val *root;
    _cleanup_json_mut_ yyjson_mut_doc *doc = patch_begin(object, &root);

    fill(object, doc, json_mut_make_obj(doc, root, "status"), arg);
    return patch(c, path, doc, answer, err);
}

int client_patch_status(struct client *c, const struct object_ref *ref, yyjson_val *known, client_fill *fill, void *arg,
                        yyjson_doc **answer, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    const char *path = object_path(a, ref, "status");
    yyjson_val *object = known;
    _cleanup_json_ yyjson_doc *doc = NULL;

    for (unsigned tries = 0;; tries++) {
        _cleanup_error_ struct error *why = NULL;
        if (object == NULL) {
            if (get_same(c, a, ref, &doc, err) < 0)
                return -1;
            object = yyjson_doc_get_root(doc);
        }
        if (patch_status_once(c, path, object, fill, arg, answer, &why) == 0)
            return 0;
        if (why->reason != REASON_CONFLICT || tries == CONFLICT_TRIES)
            return error_set(err, why->reason, "%s", why->message);
        yyjson_doc_free(doc);
        doc = NULL;
        object = NULL;
    }
}

bool client_status_differs(yyjson_val *object, client_fill *fill, void *arg)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *status = yyjson_mut_obj(doc);
    yyjson_val *present = json_at(object, "status"), *key, *v;
    size_t i, max;

    yyjson_mut_doc_set_root(doc, status);
    fill(object, doc, status, arg);
    _cleanup_json_ yyjson_doc *wanted = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_obj_foreach (yyjson_doc_get_root(wanted), i, max, key, v) {
        yyjson_val *old = yyjson_obj_get(present, yyjson_get_str(key));
        if (yyjson_is_null(v) ? old != NULL : (old == NULL || !json_equal(v, old)))
            return true;
    }
    return false;
}

/* False where it is not there. */
static bool without_finalizer(yyjson_val *object, const char *finalizer, yyjson_mut_doc *doc, yyjson_mut_val *metadata)
{
    yyjson_mut_val *left = yyjson_mut_arr(doc);
    bool found = false;
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (json_at(object, "metadata.finalizers"), i, max, v) {
        if (streq(yyjson_get_str(v), finalizer))
            found = true;
        else
            yyjson_mut_arr_append(left, yyjson_val_mut_copy(doc, v));
    }
    json_mut_set(doc, metadata, "finalizers", left);
    return found;
}

static int remove_finalizer_once(struct client *c, const struct object_ref *ref, const char *finalizer,
                                 struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_ yyjson_doc *object = NULL;
    yyjson_mut_val *root;

    if (get_same(c, a, ref, &object, err) < 0)
        return -1;
    _cleanup_json_mut_ yyjson_mut_doc *doc = patch_begin(yyjson_doc_get_root(object), &root);
    if (!without_finalizer(yyjson_doc_get_root(object), finalizer, doc, json_mut_at(root, "metadata")))
        return 0;
    return patch(c, object_path(a, ref, NULL), doc, NULL, err);
}

int client_remove_finalizer(struct client *c, const struct object_ref *ref, const char *finalizer, struct error **err)
{
    for (unsigned tries = 0;; tries++) {
        _cleanup_error_ struct error *why = NULL;
        if (remove_finalizer_once(c, ref, finalizer, &why) == 0 || why->reason == REASON_NOT_FOUND)
            return 0;
        if (why->reason != REASON_CONFLICT || tries == CONFLICT_TRIES)
            return error_set(err, why->reason, "%s", why->message);
    }
}

/* --- Streams --- */

int client_stream(struct client *c, const char *path, unsigned seconds, int (*line)(void *arg, struct str line),
                  void *arg, struct error **err)
{
    struct line_reader reader = {.part = BUFFER_MAX(MAX_LINE), .line = line, .arg = arg};
    _cleanup_answer_ struct answer a = {0};
    _cleanup_free_ char *full = xasprintf("%s/%s", c->prefix, path);
    struct call call = {.method = "GET",
                        .path = full,
                        .timeout_ms = seconds * 1000,
                        .stop_fd = c->stop_fd,
                        .receive = line_reader_take,
                        .arg = &reader};

    int rc = transport_call(c->transport, &call, &a, err);
    buffer_free(&reader.part);
    if (rc == 0 && a.status / 100 != 2)
        return status_error(&(struct client_request){"GET", path, NULL, NULL}, &a, err);
    return rc;
}
