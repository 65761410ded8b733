#include "runner/engine/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/secret.h"
#include "client/lines.h"
#include "runner/engine/calls.h"
#include "runner/engine/pull_stream.h"

#define SILENCE_SECONDS 900 /* Podman says nothing while it unpacks a layer, however large that is */
#define LINE_MAX_BYTES 65536
#define ERROR_MAX_BYTES 65536

/* --- What is here --- */

/* Podman's own answers leave the algorithm out. */
char *engine_image_id(const char *said)
{
    if (said == NULL || *said == '\0' || strlen(said) >= IMAGE_ID_MAX - sizeof("sha256:"))
        return NULL;
    return strchr(said, ':') ? xstrdup(said) : xasprintf("sha256:%s", said);
}

static void read_image(yyjson_val *root, struct runtime_image *out)
{
    _cleanup_free_ char *id = engine_image_id(json_str_at(root, "Id"));

    *out = (struct runtime_image){.bytes = yyjson_get_uint(yyjson_obj_get(root, "Size"))};
    snprintf(out->id, sizeof(out->id), "%s", id ? id : "");
}

int engine_image_find(struct runtime *r, const char *image, struct runtime_image *out, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_error_ struct error *why = NULL;
    _cleanup_json_ yyjson_doc *doc = NULL;
    /* The slashes of an image's name are part of the path. */
    struct request q = {"GET", arena_printf(a, API "/images/%s/json", url_quote(a, image)), NULL, QUICK_MS, {200}};

    if (engine_request(engine_of(r), &q, &doc, &why) == 0) {
        read_image(yyjson_doc_get_root(doc), out);
        return 1;
    }
    if (why->reason == REASON_NOT_FOUND)
        return 0;
    return error_set(err, why->reason, "%s", why->message);
}

/* --- Pulling --- */

struct pulling {
    struct pull_stream stream;
    int (*progress)(void *arg, const struct runtime_progress *p);
    void *arg;
    bool unwanted;
};

static int take_line(void *arg, struct str line)
{
    struct pulling *p = arg;
    struct runtime_progress now;

    pull_stream_take(&p->stream, line);
    pull_stream_progress(&p->stream, &now);
    if (p->progress(p->arg, &now) < 0)
        p->unwanted = true;
    return p->unwanted ? -1 : 0;
}

/* A name alone would stand for all the tags that there are. */
static bool names_one(const char *image)
{
    const char *last = strrchr(image, '/');
    return strpbrk(last ? last : image, ":@") != NULL;
}

/* The caller wipes and frees it. */
static char *authentication(const struct runtime_pull *pull)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    size_t n;

    if (pull->username == NULL || pull->password == NULL)
        return NULL;
    yyjson_mut_doc_set_root(doc, root);
    json_mut_set_str(doc, root, "username", pull->username);
    json_mut_set_str(doc, root, "password", pull->password);
    _cleanup_secret_ char *text = json_mut_write(root, &n);
    _cleanup_secret_ char *encoded = base64_encode(text, n);
    /* RFC 4648 §5, but padded: engines read nothing else. */
    for (char *c = encoded; *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return xasprintf("X-Registry-Auth: %s", encoded);
}

static int outcome(const struct pulling *p, const struct answer *a, struct error **err)
{
    if (p->unwanted)
        return error_set(err, REASON_CONFLICT, "it is not wanted any more");
    if (p->stream.failed)
        return error_set(err, REASON_INVALID, "%s", p->stream.failed);
    return a->status == 200 ? 0 : engine_refused("POST", a, err);
}

static int pull_from(struct engine *e, struct transport *t, const struct runtime_pull *pull, struct pulling *p,
                     struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_answer_ struct answer answer = {0};
    _cleanup_secret_ char *header = authentication(pull);
    struct line_reader reader = {.part = BUFFER_MAX(LINE_MAX_BYTES), .skip_long = true, .line = take_line, .arg = p};
    struct call call = {.method = "POST",
                        .path = arena_printf(a, API "/images/create?fromImage=%s%s", url_quote(a, pull->image),
                                             names_one(pull->image) ? "" : "&tag=latest"),
                        .header = header,
                        .silence_s = SILENCE_SECONDS,
                        .stop_fd = e->stop_fd,
                        .max_body = ERROR_MAX_BYTES,
                        .receive = line_reader_take,
                        .arg = &reader};
    int rc = transport_call(t, &call, &answer, err);

    /* Its last line may have no end. */
    if (rc == 0 && !p->unwanted)
        line_reader_take(&reader, STR("\n"));
    buffer_free(&reader.part);
    return rc < 0 ? rc : outcome(p, &answer, err);
}

int engine_image_pull(struct runtime *r, const struct runtime_pull *pull,
                      int (*progress)(void *arg, const struct runtime_progress *p), void *arg, struct error **err)
{
    struct pulling *p = xcalloc(1, sizeof(*p));
    struct transport *t;

    p->progress = progress;
    p->arg = arg;
    int rc = engine_transport(engine_of(r), &t, err);
    if (rc == 0)
        rc = pull_from(engine_of(r), t, pull, p, err);
    free(p->stream.failed);
    free(p);
    return rc;
}
