#include "server/hooks/tus_upload.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/thread.h"
#include "server/content/tus.h"
#include "server/hooks/intake.h"
#include "server/hooks/objects.h"

#define VERSION "1.0.0"
#define PIECE_TYPE "application/offset+octet-stream"
#define TAG_BYTES 16
#define SAY_EVERY_US INT64_C(2000000)
#define CODE_PRECONDITION_FAILED 412
#define CODE_CHECKSUM_MISMATCH 460

struct tus_upload {
    struct content *content;
    struct request *request;
    struct library *library;
    char *name, *uid; /* of the object */
    char *folder;     /* … once it is found or made */
    struct transfer transfer;
    bool has_taken;
    struct intake intake;
    struct upload *upload;
    unsigned code;                /* of an answer that is no error */
    struct tus_checksum checksum; /* what its sender says that this piece is … */
    EVP_MD_CTX *hash;             /* … and what it is */
    int64_t said_us;
};

/* --- What was asked --- */

static const char *asked(const struct tus_upload *t, const char *name)
{
    return operation_parameter(request_operation(t->request), name);
}

/* --- The object --- */

static struct content_object object_of(const struct tus_upload *t)
{
    return (struct content_object){t->library->plural, t->name, t->uid};
}

struct creation {
    struct tus_upload *upload;
    const char *description;
};

static yyjson_mut_doc *new_object(const struct creation *c)
{
    const struct kind *k = request_operation(c->upload->request)->kind;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    json_mut_set_str(doc, root, "apiVersion", k->api_version);
    json_mut_set_str(doc, root, "kind", k->kind);
    const struct operation *op = request_operation(c->upload->request);
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "metadata"), "name", op->text ? op->text : op->name);
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "spec"), "description", c->description);
    return doc;
}

/* The one that is there, or a new one. */
static int find_or_create(struct store_txn *txn, void *arg, struct error **err)
{
    struct creation *c = arg;
    struct tus_upload *t = c->upload;
    const struct operation *op = request_operation(t->request);
    struct object *o = txn_get(txn, t->library->plural, str_from(t->name));

    if (o == NULL) {
        _cleanup_json_mut_ yyjson_mut_doc *doc = new_object(c);
        _cleanup_json_ yyjson_doc *sent = yyjson_mut_doc_imut_copy(doc, NULL);
        if (api_create_in_txn(t->content->api, txn, op->kind, yyjson_doc_get_root(sent), &op->who, err) < 0)
            return -1;
        o = txn_get(txn, t->library->plural, str_from(t->name));
    }
    _cleanup_json_ yyjson_doc *doc = json_parse(o->json, NULL);
    free(t->uid);
    free(t->folder);
    t->uid = xstrdup(o->uid);
    t->folder = xstrdup(content_folder(yyjson_doc_get_root(doc)));
    return 0;
}

/* --- Taking turns --- */

static void on_wanted(void *intake)
{
    intake_stop(intake);
}

static int take_upload(struct tus_upload *t, struct error **err)
{
    t->transfer = (struct transfer){.library = t->library, .id = t->uid, .stop = on_wanted, .arg = &t->intake};
    t->has_taken = content_take(t->content, &t->transfer, err) == 0;
    return t->has_taken ? 0 : -1;
}

/* Before anything of the connection is waited for: somebody else may want to go on. */
static void give_upload(struct tus_upload *t)
{
    upload_close(steal_ptr(t->upload));
    if (t->has_taken)
        content_give(t->content, &t->transfer);
    t->has_taken = false;
}

static int open_upload(struct tus_upload *t, struct error **err)
{
    if (take_upload(t, err) < 0)
        return -1;
    t->upload = upload_open(t->library, t->uid, err);
    return t->upload ? 0 : -1;
}

/* One that was begun anew since is another's. */
static int check_tag(const struct tus_upload *t, const char *tag, struct error **err)
{
    if (streq(tag, t->upload->tag))
        return 0;
    return error_set(err, REASON_NOT_FOUND, "this upload was ended, or begun anew by somebody else");
}

/* --- What is said --- */

static void say_number(struct tus_upload *t, const char *header, uint64_t n)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    request_add_header(t->request, header, text);
}

static void say_progress(struct tus_upload *t, bool now)
{
    const struct content_object o = object_of(t);
    int64_t at = clock_monotonic_us();

    if (!now && at - t->said_us < SAY_EVERY_US)
        return;
    t->said_us = at;
    uint64_t length = t->upload->length ? t->upload->length : 1;
    _cleanup_free_ char *text =
        xasprintf("%d %% of %.1f MiB", (int)(100.0 * (double)t->upload->at / (double)length), (double)length / 1048576);
    (void)(content_say(t->content->store, &o, CONTENT_UPLOADING, text, NULL, NULL) < 0); /* deleted: its end says so */
}

static int finish(struct tus_upload *t, struct error **err)
{
    if (upload_finish(t->upload, t->name, t->uid, err) < 0)
        return -1;
    publisher_publish(t->content->publisher, t->library, t->uid, NULL, NULL);
    return 0;
}

/* --- POST --- */

static int check_free(const struct tus_upload *t, struct error **err)
{
    _cleanup_upload_ struct upload *present = upload_open(t->library, t->uid, NULL);

    if (present && present->whole)
        return error_set(err, REASON_CONFLICT, "what was uploaded before is still being unpacked: try again later");
    if (exchange_is_foreign(&t->library->shelf, t->folder))
        return error_set(err, REASON_ALREADY_EXISTS,
                         "%s/%s is there already, and was not uploaded: move it away, or choose another name",
                         t->library->path, t->folder);
    return 0;
}

static int begin_upload(struct tus_upload *t, uint64_t length, const char *file_name, struct error **err)
{
    _cleanup_free_ char *tag = random_token(TAG_BYTES);
    const struct upload_head head = {.id = t->uid,
                                     .name = t->name,
                                     .uid = t->uid,
                                     .file_name = file_name,
                                     .tag = tag,
                                     .metadata = asked(t, "uploadMetadata"),
                                     .length = length,
                                     .resumable = true};

    if (content_is_taken(t->content, t->library, t->uid))
        return error_set(err, REASON_CONFLICT, "somebody is uploading this now: DELETE ends that");
    if (take_upload(t, err) < 0 || check_free(t, err) < 0)
        return -1;
    t->upload = upload_begin(t->library, &head, err);
    return t->upload ? 0 : -1;
}

static void say_location(struct tus_upload *t)
{
    _cleanup_free_ char *where = xasprintf("%s?tag=%s", request_operation(t->request)->path, t->upload->tag);

    request_add_header(t->request, "Location", where);
    say_number(t, "Upload-Offset", t->upload->offset);
}

static int run_create(struct tus_upload *t, struct error **err)
{
    _cleanup_free_ char *file_name = NULL, *description = NULL;
    uint64_t length;

    if (tus_number(asked(t, "uploadLength"), "Upload-Length", &length, err) < 0 ||
        tus_metadata(asked(t, "uploadMetadata"), "filename", &file_name, err) < 0 ||
        tus_metadata(asked(t, "uploadMetadata"), "description", &description, err) < 0)
        return -1;
    if (length > t->library->max_bytes)
        return error_set(err, REASON_REQUEST_TOO_LARGE, "the file has %llu bytes; at most %llu are taken (%s)",
                         (unsigned long long)length, (unsigned long long)t->library->max_bytes, t->library->size_key);
    if (library_has_room(t->library, length, err) < 0)
        return -1;
    struct creation c = {t, description};
    if (store_run(t->content->store, find_or_create, &c, err) < 0 || begin_upload(t, length, file_name, err) < 0)
        return -1;
    say_location(t);
    t->code = 201;
    say_progress(t, true);
    return length == 0 ? finish(t, err) : 0;
}

/* --- HEAD: without a tag too, for whoever wants to go on with it --- */

static int run_head(struct tus_upload *t, struct error **err)
{
    if (open_upload(t, err) < 0 || (asked(t, "tag") && check_tag(t, asked(t, "tag"), err) < 0))
        return -1;
    request_add_header(t->request, "Cache-Control", "no-store");
    say_location(t);
    if (t->upload->metadata)
        request_add_header(t->request, "Upload-Metadata", t->upload->metadata);
    say_number(t, "Upload-Length", t->upload->length);
    t->code = 200;
    return 0;
}

/* --- PATCH --- */

static int begin_checksum(struct tus_upload *t, struct error **err)
{
    if (tus_checksum(asked(t, "uploadChecksum"), &t->checksum, err) < 0)
        return -1;
    if (t->checksum.digest == NULL)
        return 0;
    t->hash = EVP_MD_CTX_new();
    if (t->hash == NULL || EVP_DigestInit_ex(t->hash, t->checksum.digest, NULL) != 1)
        return error_set(err, REASON_BAD_REQUEST, "Upload-Checksum: this one is not offered here");
    return 0;
}

static bool checksum_fits(struct tus_upload *t)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (t->hash == NULL)
        return true;
    EVP_DigestFinal_ex(t->hash, sum, &n);
    return t->checksum.n == n && memcmp(t->checksum.sum, sum, n) == 0;
}

/* Bytes, whatever becomes of them afterwards. */
static int receive_piece(struct tus_upload *t, struct error **err)
{
    const char *p;

    intake_begin(&t->intake, t->request);
    for (size_t n; (n = intake_take(&t->intake, &p));) {
        if (upload_write(t->upload, p, n, err) < 0)
            return -1;
        if (t->hash)
            EVP_DigestUpdate(t->hash, p, n);
        say_progress(t, false);
    }
    return intake_result(&t->intake, err);
}

/* What came of a piece that was cut stays, unless its sender wanted it checked. */
static int keep_piece(struct tus_upload *t, int rc, struct error **err)
{
    if (t->hash && (rc < 0 || !checksum_fits(t))) {
        if (rc == 0)
            t->code = CODE_CHECKSUM_MISMATCH;
        return upload_take_back(t->upload, rc < 0 ? NULL : err) < 0 || rc < 0 ? -1 : 0;
    }
    return upload_keep(t->upload, rc < 0 ? NULL : err) < 0 || rc < 0 ? -1 : 0;
}

static int check_piece(struct tus_upload *t, struct error **err)
{
    const char *type = request_operation(t->request)->media_type;
    uint64_t offset;

    if (!streq(type, PIECE_TYPE))
        return error_set(err, REASON_UNSUPPORTED_MEDIA_TYPE, "the body is of the media type " PIECE_TYPE);
    if (tus_number(asked(t, "uploadOffset"), "Upload-Offset", &offset, err) < 0 || begin_checksum(t, err) < 0 ||
        open_upload(t, err) < 0 || check_tag(t, asked(t, "tag"), err) < 0)
        return -1;
    if (t->upload->whole)
        return error_set(err, REASON_CONFLICT, "all of it has come already");
    if (offset != t->upload->offset)
        return error_set(err, REASON_CONFLICT, "Upload-Offset: it goes on at %llu, not at %llu",
                         (unsigned long long)t->upload->offset, (unsigned long long)offset);
    return 0;
}

static int run_patch(struct tus_upload *t, struct error **err)
{
    if (check_piece(t, err) < 0)
        return -1;
    t->code = 204;
    if (keep_piece(t, receive_piece(t, err), err) < 0)
        return -1;
    say_number(t, "Upload-Offset", t->upload->offset);
    if (t->upload->offset == t->upload->length)
        return finish(t, err);
    say_progress(t, true);
    return 0;
}

/* --- DELETE --- */

static int run_delete(struct tus_upload *t, struct error **err)
{
    const struct content_object o = object_of(t);

    if (take_upload(t, err) < 0)
        return -1;
    t->upload = upload_open(t->library, t->uid, err);
    if (t->upload == NULL)
        return -1;
    if (t->upload->whole)
        return error_set(err, REASON_CONFLICT, "all of it has come already, and is being unpacked");
    if (upload_remove(t->library, t->uid, err) < 0)
        return -1;
    t->code = 204;
    return content_say_idle(t->content->store, &o, NULL, err);
}

/* --- All of them --- */

static int run_verb(struct tus_upload *t, struct error **err)
{
    if (library_open(t->library, err) < 0)
        return -1;
    switch (request_operation(t->request)->verb) {
    case VERB_CREATE:
        return run_create(t, err);
    case VERB_GET:
        return run_head(t, err);
    case VERB_PATCH:
        return run_patch(t, err);
    case VERB_DELETE:
        return run_delete(t, err);
    case VERB_NONE:
    case VERB_LIST:
    case VERB_WATCH:
    case VERB_UPDATE:
    case VERB_DELETECOLLECTION:
    case VERBS:
    default:
        return error_set(err, REASON_METHOD_NOT_ALLOWED, "a form (multipart/form-data) is put there, or tus is spoken");
    }
}

static void tus_upload_free(struct tus_upload *t)
{
    give_upload(t);
    EVP_MD_CTX_free(t->hash);
    intake_free(&t->intake);
    free(t->name);
    free(t->folder);
    free(t->uid);
    free(t);
}

static void run_tus_upload(void *arg)
{
    struct tus_upload *t = arg;
    struct error *err = NULL;
    int rc = run_verb(t, &err);

    give_upload(t);
    intake_end(&t->intake);
    if (rc < 0)
        request_fail(t->request, err);
    else
        request_reply(t->request, t->code, NULL, STR(""));
    tus_upload_free(t);
}

/* OPTIONS: of whatever version its sender is. */
static void say_what_is_spoken(struct request *r, const struct library *l)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)l->max_bytes);
    request_add_header(r, "Tus-Max-Size", text);
    request_add_header(r, "Tus-Checksum-Algorithm", TUS_CHECKSUMS);
    request_reply(r, 204, NULL, STR(""));
}

static bool speaks_another_version(const struct request *r)
{
    const char *version = operation_parameter(request_operation(r), "tusResumable");

    return version && !streq(version, VERSION);
}

void tus_upload(struct request *r, struct object *object, struct content *content)
{
    struct error *err = NULL;

    request_add_header(r, "Tus-Resumable", VERSION);
    request_add_header(r, "Tus-Version", VERSION);
    request_add_header(r, "Tus-Extension", "creation,expiration,termination,checksum");
    if (operation_flag(request_operation(r), "tusOptions"))
        return say_what_is_spoken(r, content_library(content, request_operation(r)->kind->plural));
    if (speaks_another_version(r))
        return request_reply(r, CODE_PRECONDITION_FAILED, "text/plain", STR("tus " VERSION " is spoken here\n"));
    struct tus_upload *t = xcalloc(1, sizeof(*t));
    t->content = content;
    t->request = r;
    t->library = content_library(content, request_operation(r)->kind->plural);
    t->name = xstrdup(request_operation(r)->name);
    t->uid = object ? xstrdup(object->uid) : NULL;
    intake_init(&t->intake);
    if (content_run(content, run_tus_upload, t, &err) == 0)
        return;
    tus_upload_free(t);
    request_fail(r, err);
}
