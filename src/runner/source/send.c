#include "runner/source/send.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/json.h"
#include "base/random.h"

#define RANDOM_BYTES 16

int form_begin(struct form *f, int file, const char *file_name, struct error **err)
{
    _cleanup_free_ char *random = random_token(RANDOM_BYTES);

    f->file = file;
    snprintf(f->boundary, sizeof(f->boundary), "%s", random);
    _cleanup_free_ char *head = xasprintf("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n"
                                          "Content-Type: application/octet-stream\r\n\r\n",
                                          f->boundary, file_name);
    return write_all(file, head, strlen(head), err);
}

int form_end(const struct form *f, struct error **err)
{
    _cleanup_free_ char *tail = xasprintf("\r\n--%s--\r\n", f->boundary);

    return write_all(f->file, tail, strlen(tail), err);
}

static int refused(const struct answer *a, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&a->body), NULL);
    const char *message = doc ? json_str_at(yyjson_doc_get_root(doc), "message") : NULL;
    enum reason reason = a->status == 404                       ? REASON_NOT_FOUND
                         : a->status == 503 || a->status == 429 ? REASON_SERVICE_UNAVAILABLE
                                                                : REASON_INVALID;

    return error_set(err, reason, "%s", message ? message : "the server refused it without a reason");
}

int form_send(const struct form *f, struct transport *server, const char *path, int stop_fd, struct error **err)
{
    _cleanup_free_ char *type = xasprintf("multipart/form-data; boundary=%s", f->boundary);
    _cleanup_answer_ struct answer answer = {0};
    struct stat st;

    if (fstat(f->file, &st) < 0)
        return error_errno(err, errno, "look at what was fetched");
    char *content = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, f->file, 0);
    if (content == MAP_FAILED)
        return error_errno(err, errno, "read what was fetched");
    const struct call call = {
        .method = "PUT", .path = path, .content_type = type, .body = {content, (size_t)st.st_size}, .stop_fd = stop_fd};
    int rc = transport_call(server, &call, &answer, err);
    munmap(content, (size_t)st.st_size);
    if (rc < 0)
        return -1;
    return answer.status / 100 == 2 ? 0 : refused(&answer, err);
}
