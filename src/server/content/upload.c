#include "server/content/upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/io.h"
#include "base/json.h"

#define STATE_MAX ((size_t)64 << 10)
/* The disk is asked for room that often, and begins to write that early: what is left for the end is little. */
#define CHECK_BYTES (UINT64_C(16) << 20)
#define FLUSH_BYTES (UINT64_C(8) << 20)
#define READ_BYTES ((size_t)256 << 10)

/* --- Its state on disk --- */

static char *path_in(const struct library *l, const char *id, const char *file)
{
    return xasprintf("%s/.open-hydra/uploads/%s/%s", l->path, id, file);
}

static void put_number(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, uint64_t n)
{
    yyjson_mut_obj_add_uint(doc, o, key, n);
}

static int write_state(const struct upload *u, struct error **err)
{
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    _cleanup_free_ char *path = path_in(u->library, u->id, "state");
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    size_t n;

    json_mut_set_str(doc, o, "name", u->name);
    json_mut_set_str(doc, o, "uid", u->uid);
    json_mut_set_str(doc, o, "fileName", u->file_name);
    json_mut_set_str(doc, o, "tag", u->tag);
    json_mut_set_str(doc, o, "metadata", u->metadata);
    json_mut_set_str(doc, o, "checksum", u->whole ? u->checksum : NULL);
    json_mut_set_bool(doc, o, "resumable", u->resumable);
    json_mut_set_bool(doc, o, "whole", u->whole);
    if (u->length != UPLOAD_NO_LENGTH)
        put_number(doc, o, "length", u->length);
    put_number(doc, o, "offset", u->offset);
    put_number(doc, o, "touched", (uint64_t)u->touched_us);
    put_number(doc, o, "version", u->outcome.version);
    put_number(doc, o, "bytes", u->outcome.bytes);
    put_number(doc, o, "files", u->outcome.files);
    _cleanup_free_ char *text = json_mut_write(o, &n);
    return write_file_atomic(path, (struct str){text, n}, 0600, err);
}

static uint64_t number_at(yyjson_val *o, const char *key, uint64_t otherwise)
{
    yyjson_val *v = yyjson_obj_get(o, key);
    return yyjson_is_uint(v) ? yyjson_get_uint(v) : otherwise;
}

static void take_state(struct upload *u, yyjson_val *o)
{
    u->name = xstrdup_or_null(json_str_at(o, "name"));
    u->uid = xstrdup_or_null(json_str_at(o, "uid"));
    u->file_name = xstrdup_or_null(json_str_at(o, "fileName"));
    u->tag = xstrdup_or_null(json_str_at(o, "tag"));
    u->metadata = xstrdup_or_null(json_str_at(o, "metadata"));
    u->resumable = json_bool_at(o, "resumable", false);
    u->whole = json_bool_at(o, "whole", false);
    u->length = number_at(o, "length", UPLOAD_NO_LENGTH);
    u->offset = u->at = number_at(o, "offset", 0);
    u->touched_us = (int64_t)number_at(o, "touched", 0);
    u->outcome =
        (struct upload_outcome){number_at(o, "version", 0), number_at(o, "bytes", 0), number_at(o, "files", 0)};
    snprintf(u->checksum, sizeof(u->checksum), "%s", json_str_at(o, "checksum") ? json_str_at(o, "checksum") : "");
}

/* --- Begin and end --- */

static struct upload *upload_new(struct library *l, const char *id)
{
    struct upload *u = xcalloc(1, sizeof(*u));

    u->library = l;
    u->id = xstrdup(id);
    u->length = UPLOAD_NO_LENGTH;
    u->body = -1;
    return u;
}

void upload_close(struct upload *u)
{
    if (u == NULL)
        return;
    if (u->body >= 0)
        close(u->body);
    EVP_MD_CTX_free(u->hash);
    free(u->id);
    free(u->name);
    free(u->uid);
    free(u->file_name);
    free(u->tag);
    free(u->metadata);
    free(u);
}

static int uploads_folder(const struct library *l, struct error **err)
{
    int fd = openat(l->shelf.own, "uploads", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? error_errno(err, errno, "open the folder of uploads in %s", l->path) : fd;
}

static int begin_on_disk(struct upload *u, struct error **err)
{
    _cleanup_close_ int all = uploads_folder(u->library, err);

    if (all < 0)
        return -1;
    if (mkdirat(all, u->id, 0700) < 0)
        return error_errno(err, errno, "make a folder for the upload");
    _cleanup_close_ int own = openat(all, u->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    u->body = own < 0 ? -1 : openat(own, "body", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (u->body < 0)
        return error_errno(err, errno, "make a file for the upload");
    if (fsync(own) < 0 || fsync(all) < 0)
        return error_errno(err, errno, "write the folder of the upload");
    return write_state(u, err);
}

struct upload *upload_begin(struct library *l, const struct upload_head *head, struct error **err)
{
    _cleanup_upload_ struct upload *u = upload_new(l, head->id);

    if (head->length != UPLOAD_NO_LENGTH && head->length > l->max_bytes) {
        error_set(err, REASON_REQUEST_TOO_LARGE, "the file has %llu bytes; at most %llu are taken (%s)",
                  (unsigned long long)head->length, (unsigned long long)l->max_bytes, l->size_key);
        return NULL;
    }
    if (library_has_room(l, head->length == UPLOAD_NO_LENGTH ? 1 : head->length, err) < 0 ||
        upload_remove(l, head->id, err) < 0)
        return NULL;
    u->name = xstrdup_or_null(head->name);
    u->uid = xstrdup_or_null(head->uid);
    u->file_name = xstrdup_or_null(head->file_name);
    u->tag = xstrdup_or_null(head->tag);
    u->metadata = xstrdup_or_null(head->metadata);
    u->length = head->length;
    u->resumable = head->resumable;
    u->touched_us = clock_realtime_us();
    u->hash = EVP_MD_CTX_new();
    if (u->hash == NULL || EVP_DigestInit_ex(u->hash, EVP_sha256(), NULL) != 1)
        abort();
    if (begin_on_disk(u, err) < 0) {
        (void)(upload_remove(l, head->id, NULL) < 0); /* the next start does */
        return NULL;
    }
    return steal_ptr(u);
}

struct upload *upload_open(struct library *l, const char *id, struct error **err)
{
    _cleanup_upload_ struct upload *u = upload_new(l, id);
    _cleanup_free_ char *state = path_in(l, id, "state"), *body = path_in(l, id, "body");
    size_t n;

    if (!path_exists(state)) {
        error_set(err, REASON_NOT_FOUND, "nothing is being uploaded there");
        return NULL;
    }
    _cleanup_free_ char *text = read_file(state, STATE_MAX, &n, err);
    _cleanup_json_ yyjson_doc *doc = text ? json_parse((struct str){text, n}, err) : NULL;
    if (doc == NULL)
        return NULL;
    take_state(u, yyjson_doc_get_root(doc));
    u->body = open(body, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (u->body < 0 || ftruncate(u->body, (off_t)u->offset) < 0) {
        error_errno(err, errno, "open the uploaded file");
        return NULL;
    }
    return steal_ptr(u);
}

int upload_remove(struct library *l, const char *id, struct error **err)
{
    _cleanup_close_ int all = uploads_folder(l, err);
    static const char *const files[] = {"body", "state", "state.new"};

    if (all < 0)
        return -1;
    _cleanup_close_ int own = openat(all, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (own < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "open the folder of an upload");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (unlinkat(own, files[i], 0) < 0 && errno != ENOENT)
            return error_errno(err, errno, "remove an upload");
    return unlinkat(all, id, AT_REMOVEDIR) < 0 && errno != ENOENT ? error_errno(err, errno, "remove an upload") : 0;
}

/* --- Bytes --- */

/* After a restart what is there is read once more: a hash half way is not kept. */
static int hash_rest(struct upload *u, struct error **err)
{
    _cleanup_free_ char *piece = xmalloc(READ_BYTES);

    if (u->hash == NULL) {
        u->hash = EVP_MD_CTX_new();
        if (u->hash == NULL || EVP_DigestInit_ex(u->hash, EVP_sha256(), NULL) != 1)
            abort();
        u->hashed = 0;
    }
    while (u->hashed < u->at) {
        size_t want = u->at - u->hashed < READ_BYTES ? (size_t)(u->at - u->hashed) : READ_BYTES;
        ssize_t n = pread(u->body, piece, want, (off_t)u->hashed);
        if (n <= 0)
            return error_errno(err, n < 0 ? errno : EIO, "read the uploaded file");
        EVP_DigestUpdate(u->hash, piece, (size_t)n);
        u->hashed += (uint64_t)n;
    }
    return 0;
}

static int check_size(const struct upload *u, size_t n, struct error **err)
{
    if (n > u->library->max_bytes || u->at > u->library->max_bytes - n)
        return error_set(err, REASON_REQUEST_TOO_LARGE,
                         "the file is larger than %llu bytes, the most that is taken (%s)",
                         (unsigned long long)u->library->max_bytes, u->library->size_key);
    if (u->length != UPLOAD_NO_LENGTH && (n > u->length || u->at > u->length - n))
        return error_set(err, REASON_BAD_REQUEST, "more comes than the %llu bytes that were announced",
                         (unsigned long long)u->length);
    return 0;
}

static int check_room(struct upload *u, struct error **err)
{
    if (u->at < u->checked)
        return 0;
    u->checked = u->at + CHECK_BYTES;
    return library_has_room(u->library, CHECK_BYTES, err);
}

static int write_body(struct upload *u, const char *p, size_t n, struct error **err)
{
    while (n) {
        ssize_t done = pwrite(u->body, p, n, (off_t)u->at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno == ENOSPC || errno == EDQUOT
                       ? error_set(err, REASON_INSUFFICIENT_STORAGE, "the disk of %s is full", u->library->path)
                       : error_errno(err, errno, "write the uploaded file");
        if (u->hash && u->hashed == u->at) {
            EVP_DigestUpdate(u->hash, p, (size_t)done);
            u->hashed += (uint64_t)done;
        }
        u->at += (uint64_t)done;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

int upload_write(struct upload *u, const char *p, size_t n, struct error **err)
{
    if (check_size(u, n, err) < 0 || check_room(u, err) < 0 || write_body(u, p, n, err) < 0)
        return -1;
    if (u->at - u->flushed >= FLUSH_BYTES) {
        (void)(sync_file_range(u->body, (off_t)u->flushed, (off_t)(u->at - u->flushed), SYNC_FILE_RANGE_WRITE) < 0);
        u->flushed = u->at;
    }
    return 0;
}

int upload_keep(struct upload *u, struct error **err)
{
    if (fdatasync(u->body) < 0)
        return errno == ENOSPC || errno == EDQUOT
                   ? error_set(err, REASON_INSUFFICIENT_STORAGE, "the disk of %s is full", u->library->path)
                   : error_errno(err, errno, "write the uploaded file");
    u->offset = u->at;
    u->touched_us = clock_realtime_us();
    return write_state(u, err);
}

int upload_take_back(struct upload *u, struct error **err)
{
    if (ftruncate(u->body, (off_t)u->offset) < 0)
        return error_errno(err, errno, "cut the uploaded file");
    u->at = u->checked = u->flushed = u->offset;
    if (u->hashed > u->at) {
        EVP_MD_CTX_free(u->hash);
        u->hash = NULL;
    }
    return 0;
}

static void replace_text(char **field, const char *value)
{
    char *copy = xstrdup(value);

    free(*field);
    *field = copy;
}

int upload_finish(struct upload *u, const char *name, const char *uid, struct error **err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (hash_rest(u, err) < 0)
        return -1;
    EVP_DigestFinal_ex(u->hash, sum, &n);
    EVP_MD_CTX_free(u->hash);
    u->hash = NULL;
    _cleanup_free_ char *text = hex_encode(sum, n);
    snprintf(u->checksum, sizeof(u->checksum), "%s", text);
    replace_text(&u->name, name);
    replace_text(&u->uid, uid);
    u->length = u->at;
    u->whole = true;
    return upload_keep(u, err);
}

int upload_publishes(struct upload *u, const struct upload_outcome *o, struct error **err)
{
    u->outcome = *o;
    return write_state(u, err);
}

void upload_list(struct library *l, void (*each)(void *arg, const char *id), void *arg)
{
    int fd = uploads_folder(l, NULL);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            each(arg, e->d_name);
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
}
