#include "unit/runner/api.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/thread.h"
#include "unit/client/peer.h"

#define PREFIX "/apis/g/v1/"

static struct api_object *find(struct api *a, const char *plural, const char *name)
{
    for (size_t i = 0; i < a->objects_len; i++)
        if (streq(a->objects[i].plural, plural) && streq(a->objects[i].name, name))
            return &a->objects[i];
    return NULL;
}

static void send_text(int fd, const char *text)
{
    int ignored _unused_ = write_all(fd, text, strlen(text), NULL);
}

static void tell(struct api *a, const char *plural, const char *type, yyjson_val *object)
{
    _cleanup_free_ char *json = yyjson_val_write(object, 0, NULL);
    _cleanup_free_ char *line = xasprintf("{\"type\":\"%s\",\"object\":%s}\n", type, json);

    for (size_t i = 0; i < a->watches_len; i++)
        if (streq(a->watches[i].plural, plural))
            send_text(a->watches[i].fd, line);
}

/* Takes the document over, gives it the next revision. */
static struct api_object *store(struct api *a, const char *plural, yyjson_mut_doc *doc)
{
    char revision[24];
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);

    snprintf(revision, sizeof(revision), "%llu", (unsigned long long)++a->revision);
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "metadata"), "resourceVersion", revision);
    yyjson_doc *fresh = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_mut_doc_free(doc);
    const char *name = json_str_at(yyjson_doc_get_root(fresh), "metadata.name");
    struct api_object *o = find(a, plural, name);
    bool added = o == NULL;
    if (added) {
        o = &a->objects[a->objects_len++];
        *o = (struct api_object){xstrdup(plural), xstrdup(name), NULL};
    }
    yyjson_doc_free(o->doc);
    o->doc = fresh;
    tell(a, plural, added ? "ADDED" : "MODIFIED", yyjson_doc_get_root(fresh));
    return o;
}

static void object_free(struct api_object *o)
{
    free(o->plural);
    free(o->name);
    yyjson_doc_free(o->doc);
}

static void drop(struct api *a, struct api_object *o)
{
    char revision[24];
    yyjson_mut_doc *doc = yyjson_doc_mut_copy(o->doc, NULL);

    snprintf(revision, sizeof(revision), "%llu", (unsigned long long)++a->revision);
    json_mut_set_str(doc, json_mut_at(yyjson_mut_doc_get_root(doc), "metadata"), "resourceVersion", revision);
    yyjson_doc *last = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_mut_doc_free(doc);
    tell(a, o->plural, "DELETED", yyjson_doc_get_root(last));
    yyjson_doc_free(last);
    object_free(o);
    *o = a->objects[--a->objects_len];
}

static void merge(struct api *a, struct api_object *o, yyjson_val *patch)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

    yyjson_mut_doc_set_root(doc, yyjson_merge_patch(doc, yyjson_doc_get_root(o->doc), patch));
    o = store(a, o->plural, doc);
    yyjson_val *root = yyjson_doc_get_root(o->doc);
    if (json_str_at(root, "metadata.deletionTimestamp") && yyjson_arr_size(json_at(root, "metadata.finalizers")) == 0)
        drop(a, o);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

struct asked {
    char method[8], plural[32], name[64], rest[64];
    const char *body;
};

static void answer(int fd, unsigned status, const char *body)
{
    _cleanup_free_ char *text =
        xasprintf("HTTP/1.1 %u X\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
    send_text(fd, text);
}

static const char *reason_for(unsigned status)
{
    return status == 404   ? "NotFound"
           : status == 409 ? "Conflict"
           : status == 503 ? "ServiceUnavailable"
                           : "InternalError";
}

static void refuse(int fd, unsigned status)
{
    _cleanup_free_ char *body =
        xasprintf("{\"kind\":\"Status\",\"reason\":\"%s\",\"message\":\"as ordered\"}", reason_for(status));
    answer(fd, status, body);
}

static void list(struct api *a, const char *plural, int fd)
{
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(1 << 20);
    bool first = true;

    buffer_printf(&b, "{\"metadata\":{\"resourceVersion\":\"%llu\"},\"items\":[", (unsigned long long)a->revision);
    for (size_t i = 0; i < a->objects_len; i++) {
        if (!streq(a->objects[i].plural, plural))
            continue;
        _cleanup_free_ char *json = yyjson_write(a->objects[i].doc, 0, NULL);
        buffer_printf(&b, "%s%s", first ? "" : ",", json);
        first = false;
    }
    buffer_puts(&b, "]}");
    answer(fd, 200, b.p);
}

/* Events between list and watch are told as the state that is. */
static void begin_watch(struct api *a, const char *plural, int fd)
{
    send_text(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    a->watches[a->watches_len++] = (struct api_watch){fd, xstrdup(plural)};
    for (size_t i = 0; i < a->objects_len; i++) {
        if (!streq(a->objects[i].plural, plural))
            continue;
        _cleanup_free_ char *json = yyjson_write(a->objects[i].doc, 0, NULL);
        _cleanup_free_ char *line = xasprintf("{\"type\":\"MODIFIED\",\"object\":%s}\n", json);
        send_text(fd, line);
    }
}

static unsigned change(struct api *a, const struct asked *q, int fd)
{
    struct api_object *o = find(a, q->plural, q->name);

    if (o == NULL)
        return 404;
    if (streq(q->method, "PATCH")) {
        _cleanup_json_ yyjson_doc *patch = json_parse(str_from(q->body), NULL);
        const char *known = json_str_at(yyjson_doc_get_root(patch), "metadata.resourceVersion");
        if (known && !streq(known, json_str_at(yyjson_doc_get_root(o->doc), "metadata.resourceVersion")))
            return 409;
        merge(a, o, yyjson_doc_get_root(patch));
        o = find(a, q->plural, q->name);
    }
    if (streq(q->method, "PUT")) {
        free(a->put);
        a->put = xstrdup(q->body);
    }
    _cleanup_free_ char *json = o ? yyjson_write(o->doc, 0, NULL) : xstrdup("{}");
    answer(fd, 200, streq(q->method, "PUT") ? "{}" : json);
    return 200;
}

static bool parse(char *request, struct asked *q)
{
    char *path = strchr(request, ' '), *end = path ? strchr(path + 1, ' ') : NULL;
    const char *body = strstr(request, "\r\n\r\n");

    if (end == NULL || body == NULL || !starts_with(path + 1, PREFIX))
        return false;
    *path++ = *end = '\0';
    path += strlen(PREFIX);
    snprintf(q->method, sizeof(q->method), "%.7s", request);
    size_t n = strcspn(path, "/?");
    snprintf(q->plural, sizeof(q->plural), "%.*s", (int)n, path);
    snprintf(q->rest, sizeof(q->rest), "%s", path[n] == '?' ? path + n + 1 : "");
    if (path[n] == '/') {
        size_t m = strcspn(path + n + 1, "/");
        snprintf(q->name, sizeof(q->name), "%.*s", (int)m, path + n + 1);
        snprintf(q->rest, sizeof(q->rest), "%s", path[n + 1 + m] ? path + n + 2 + m : "");
    }
    q->body = body + 4;
    return true;
}

static void note(struct api *a, const struct asked *q, unsigned status)
{
    char *old = a->log;

    a->log = xasprintf("%s%s %s%s%s%s%s %u\n", old ? old : "", q->method, q->plural, *q->name ? "/" : "", q->name,
                       *q->rest && *q->name ? "/" : "", *q->name ? q->rest : "", status);
    free(old);
}

static struct api_failure *ordered(struct api *a, const struct asked *q)
{
    _cleanup_free_ char *path = xasprintf("%s/%s/%s", q->plural, q->name, q->rest);

    for (size_t i = 0; i < a->failures_len; i++)
        if (a->failures[i].times && streq(a->failures[i].method, q->method) && strstr(path, a->failures[i].path))
            return &a->failures[i];
    return NULL;
}

/* True: the connection is kept. */
static bool serve(struct api *a, const struct asked *q, int fd)
{
    struct api_failure *f = ordered(a, q);
    unsigned status = 200;

    if (f) {
        f->times--;
        status = f->status;
        refuse(fd, status);
    } else if (*q->name == '\0' && strstr(q->rest, "watch=true")) {
        begin_watch(a, q->plural, fd);
        return true;
    } else if (*q->name == '\0') {
        list(a, q->plural, fd);
    } else if ((status = change(a, q, fd)) != 200) {
        refuse(fd, status);
    }
    note(a, q, status);
    return false;
}

static void *run(void *arg)
{
    struct api *a = arg;
    struct pollfd fds[] = {{a->listen_fd, POLLIN, 0}, {a->stop_fd, POLLIN, 0}};
    static char request[1 << 18];

    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        struct asked q = {0};
        int fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        size_t n = peer_read_request(fd, request, sizeof(request));
        LOCK_SCOPE(&a->lock);
        if (n == 0 || !parse(request, &q) || !serve(a, &q, fd))
            close(fd);
    }
    return NULL;
}

/* --- for the test --------------------------------------------------------------------------------------------- */

void api_start(struct api *a)
{
    *a = (struct api){.stop_fd = eventfd(0, EFD_CLOEXEC), .revision = 10};
    snprintf(a->directory, sizeof(a->directory), "/tmp/runner-api-XXXXXX");
    assert_non_null(mkdtemp(a->directory));
    snprintf(a->path, sizeof(a->path), "%s/s", a->directory);
    a->listen_fd = listen_unix(a->path, 0666, NULL);
    assert_true(a->listen_fd >= 0);
    pthread_mutex_init(&a->lock, NULL);
    a->thread = thread_start("api", run, a);
}

static void end_watches(struct api *a)
{
    for (size_t i = 0; i < a->watches_len; i++) {
        close(a->watches[i].fd);
        free(a->watches[i].plural);
    }
    a->watches_len = 0;
}

void api_end(struct api *a)
{
    uint64_t one = 1;

    assert_int_equal(write(a->stop_fd, &one, sizeof(one)), sizeof(one));
    pthread_join(a->thread, NULL);
    end_watches(a);
    for (size_t i = 0; i < a->objects_len; i++)
        object_free(&a->objects[i]);
    close(a->stop_fd);
    close(a->listen_fd);
    unlink(a->path);
    rmdir(a->directory);
    free(a->log);
    free(a->put);
    pthread_mutex_destroy(&a->lock);
}

void api_put(struct api *a, const char *plural, const char *text)
{
    yyjson_doc *doc = json_parse(str_from(text), NULL);

    assert_non_null(doc);
    LOCK_SCOPE(&a->lock);
    store(a, plural, yyjson_doc_mut_copy(doc, NULL));
    yyjson_doc_free(doc);
}

void api_remove(struct api *a, const char *plural, const char *name)
{
    LOCK_SCOPE(&a->lock);
    assert_non_null(find(a, plural, name));
    drop(a, find(a, plural, name));
}

void api_patch(struct api *a, const char *plural, const char *name, const char *text)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(text), NULL);

    LOCK_SCOPE(&a->lock);
    assert_non_null(find(a, plural, name));
    merge(a, find(a, plural, name), yyjson_doc_get_root(doc));
}

void api_fail(struct api *a, const char *method, const char *path, unsigned status, unsigned times)
{
    LOCK_SCOPE(&a->lock);
    a->failures[a->failures_len++] = (struct api_failure){method, path, status, times};
}

unsigned api_count(struct api *a, const char *request, unsigned status)
{
    _cleanup_free_ char *line = xasprintf("%s %u\n", request, status);
    unsigned n = 0;

    LOCK_SCOPE(&a->lock);
    for (const char *at = a->log; at && (at = strstr(at, line)); at++)
        n++;
    return n;
}

char *api_last_put(struct api *a)
{
    LOCK_SCOPE(&a->lock);
    return xstrdup(a->put ? a->put : "");
}

yyjson_doc *api_get(struct api *a, const char *plural, const char *name)
{
    LOCK_SCOPE(&a->lock);
    const struct api_object *o = find(a, plural, name);
    size_t n;

    if (o == NULL)
        return NULL;
    _cleanup_free_ char *text = yyjson_write(o->doc, 0, &n);
    return json_parse((struct str){text, n}, NULL);
}

void api_restore(struct api *a, uint64_t revision)
{
    LOCK_SCOPE(&a->lock);
    for (size_t i = 0; i < a->objects_len;) {
        if (!streq(a->objects[i].plural, "devices")) {
            i++;
            continue;
        }
        object_free(&a->objects[i]);
        a->objects[i] = a->objects[--a->objects_len];
    }
    a->revision = revision;
    end_watches(a);
}
