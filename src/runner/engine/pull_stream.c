#include "runner/engine/pull_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"

#define FAILED_MAX 1000
#define BYTES_MAX (UINT64_C(1) << 50) /* of one layer: a sum of them stays a number */

/* What is said of a layer, and what that means. Podman says «Download complete» of the whole image in the end, too. */
static const struct {
    const char *status;
    bool begins, fetched, done;
} meanings[] = {
    {"Pulling fs layer", true, false, false}, {"Waiting", true, false, false},
    {"Downloading", true, false, false},      {"Verifying Checksum", false, true, false},
    {"Download complete", false, true, true}, {"Extracting", false, true, false},
    {"Pull complete", false, true, true},     {"Already exists", true, true, true},
};

static struct pull_layer *layer_of(struct pull_stream *s, const char *id, bool make)
{
    for (size_t i = 0; i < s->layers_len; i++)
        if (streq(s->layers[i].id, id))
            return &s->layers[i];
    if (!make || s->layers_len == PULL_LAYERS_MAX || strlen(id) >= sizeof(s->layers[0].id))
        return NULL;
    struct pull_layer *l = &s->layers[s->layers_len++];
    *l = (struct pull_layer){0};
    memcpy(l->id, id, strlen(id) + 1);
    return l;
}

static uint64_t amount(yyjson_val *detail, const char *key)
{
    yyjson_val *v = yyjson_obj_get(detail, key);
    uint64_t n = yyjson_is_uint(v) ? yyjson_get_uint(v) : 0; /* Podman says -1 where it does not know */
    return n < BYTES_MAX ? n : BYTES_MAX;
}

static void take_amounts(struct pull_layer *l, yyjson_val *detail)
{
    uint64_t total = amount(detail, "total"), bytes = amount(detail, "current");

    if (total)
        l->total = total;
    if (bytes > l->bytes)
        l->bytes = bytes;
    if (l->total && l->bytes > l->total)
        l->bytes = l->total;
}

static void take_status(struct pull_stream *s, const char *status, const char *id, yyjson_val *detail)
{
    for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
        if (!streq(meanings[i].status, status))
            continue;
        struct pull_layer *l = layer_of(s, id, meanings[i].begins);
        if (l == NULL)
            return;
        if (streq(status, "Downloading")) /* «Extracting» counts something else */
            take_amounts(l, detail);
        if (meanings[i].fetched)
            l->bytes = l->total;
        l->done = meanings[i].done;
    }
}

/* The first is the cause of those that follow. */
static void take_failure(struct pull_stream *s, const char *message)
{
    if (s->failed)
        return;
    size_t n = strlen(message);
    s->failed = xstrndup(message, n < FAILED_MAX ? n : FAILED_MAX);
    s->failed[text_clean(s->failed, strlen(s->failed), "")] = '\0';
}

void pull_stream_take(struct pull_stream *s, struct str line)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(line, NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *status = json_str_at(root, "status"), *id = json_str_at(root, "id"),
               *error = json_str_at(root, "error");

    if (error == NULL)
        error = json_str_at(root, "errorDetail.message");
    if (error)
        take_failure(s, error);
    else if (status && id)
        take_status(s, status, id, json_at(root, "progressDetail"));
}

void pull_stream_progress(const struct pull_stream *s, struct runtime_progress *out)
{
    *out = (struct runtime_progress){.layers = (unsigned)s->layers_len};
    for (size_t i = 0; i < s->layers_len; i++) {
        out->layers_done += s->layers[i].done;
        out->bytes += s->layers[i].bytes;
        out->bytes_total += s->layers[i].total;
    }
}
