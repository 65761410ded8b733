#include "server/hooks/device_course.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/text.h"
#include "client/transport.h"
#include "kinds/device.h"
#include "server/hooks/content.h"
#include "server/hooks/content_status.h"
#include "server/model/text_name.h"

#define MAX_AT_ONCE 32
#define RETRY_SECONDS 5
#define ANSWER_MAX ((size_t)1 << 20)
/* Longer than the program takes at most, and the runner waits for a word of it. */
#define WORK_MS (40u * 60 * 1000)
#define PATH_SIZE 4096
#define REASON_SHOWN 512
#define FILES_MAX 500
#define NAME_BYTES_MAX 255
#define SINGULAR "course" /* as in src/kinds/course.yaml */

static atomic_uint at_work;

struct copying {
    struct request *request;
    struct transport *runner;
    char *device, *course; /* as it was asked for */
    char *path;            /* of the runner's */
    int stop_fd;           /* an eventfd: nobody waits for it any more */
};

static void copying_free(struct copying *w)
{
    transport_free(w->runner);
    if (w->stop_fd >= 0)
        close(w->stop_fd);
    free(w->device);
    free(w->course);
    free(w->path);
    free(w);
    atomic_fetch_sub(&at_work, 1);
}

/* --- What is asked --- */

/* {"spec": {"course": "lesson-1"}} */
static char *read_course(struct str body, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(body, err);
    const char *name = doc ? json_str_at(yyjson_doc_get_root(doc), "spec.course") : NULL;

    if (name && *name && strlen(name) <= NAME_BYTES_MAX)
        return xstrdup(name);
    if (doc)
        error_add_cause(err, "spec.course", "FieldValueInvalid", "the name of a course is expected");
    return NULL;
}

static int check_running(const struct object *device, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(device->json, NULL);

    if (streq(json_str_at(yyjson_doc_get_root(doc), "status.phase"), "Running"))
        return 0;
    return error_set(err, REASON_CONFLICT,
                     "devices \"%s\" is not running: a course is copied by the environment itself", device->name);
}

/* By its name or by what it is called: NULL where there is none. */
static yyjson_doc *find_course(const struct hook_context *context, const char *course)
{
    _cleanup_free_ char *name = text_name_is_text(course) ? text_name_make(SINGULAR, course) : xstrdup(course);
    _cleanup_object_ struct object *o = store_get(context->store, PLURAL_COURSES, str_from(name));

    return o ? json_parse(o->json, NULL) : NULL;
}

/* A folder that somebody put there by hand has no object. */
static char *runner_path(const struct hook_context *context, const struct object *device, const char *course)
{
    _cleanup_json_ yyjson_doc *doc = find_course(context, course);
    const char *folder = doc ? content_folder(yyjson_doc_get_root(doc)) : course;
    int64_t version = json_int_at(yyjson_doc_get_root(doc), "status.version", 0);
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(PATH_SIZE);

    buffer_printf(&b, "/devices/%s/course?name=", device->uid);
    buffer_percent_encode(&b, str_from(folder));
    if (version > 0)
        buffer_printf(&b, "&version=%" PRId64, version);
    return buffer_steal(&b);
}

/* --- What came of it: the environment's word, which may be anything --- */

static void add_text(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, yyjson_val *from)
{
    const char *text = json_str_at(from, key);
    _cleanup_free_ char *copy = xstrdup_or_null(text);

    if (copy == NULL)
        return;
    copy[text_clean(copy, strlen(copy), "")] = '\0';
    json_mut_set_str(doc, to, key, copy);
}

static void add_counts(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *counts)
{
    static const char *const names[] = {"new", "updated", "both", "yours", "same", "deleted", "withdrawn", "skipped"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        json_mut_set_int(doc, to, names[i], json_int_at(counts, names[i], 0));
}

static void add_files(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *files)
{
    size_t i, n;
    yyjson_val *one;

    yyjson_arr_foreach (files, i, n, one) {
        if (i == FILES_MAX)
            break;
        yyjson_mut_val *file = yyjson_mut_arr_add_obj(doc, to);
        add_text(doc, file, "path", one);
        add_text(doc, file, "what", one);
        add_text(doc, file, "beside", one);
    }
}

static yyjson_mut_doc *describe(const struct copying *w, yyjson_val *said)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *files = yyjson_mut_arr(doc), *status;

    yyjson_mut_doc_set_root(doc, root);
    json_mut_set_str(doc, root, "apiVersion", GROUP_VERSION);
    json_mut_set_str(doc, root, "kind", "DeviceCourse");
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "metadata"), "name", w->device);
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "spec"), "course", w->course);
    status = json_mut_make_obj(doc, root, "status");
    add_text(doc, status, "folder", said);
    add_counts(doc, json_mut_make_obj(doc, status, "counts"), json_at(said, "counts"));
    add_files(doc, files, json_at(said, "files"));
    json_mut_set(doc, status, "files", files);
    json_mut_set_bool(doc, status, "forgotten", json_bool_at(said, "forgotten", false));
    return doc;
}

static enum reason reason_of(const char *name)
{
    static const enum reason known[] = {REASON_NOT_FOUND, REASON_CONFLICT, REASON_INVALID, REASON_INSUFFICIENT_STORAGE,
                                        REASON_TIMEOUT};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (streq(name, reason_name(known[i])))
            return known[i];
    return REASON_INTERNAL;
}

/* Of what was said, as much as people read; the caller frees. */
static char *shown(struct str said)
{
    size_t n = text_cut(said, REASON_SHOWN);
    char *text = xstrndup(said.p, n);

    text[text_clean(text, strlen(text), "")] = '\0';
    return text;
}

static int check_result(const struct copying *w, yyjson_val *said, struct error **err)
{
    const char *why = json_str_at(said, "error");

    if (json_at(said, "counts") && why == NULL)
        return 0;
    if (why == NULL)
        return error_set(err, REASON_INTERNAL, "course %s: the environment does not say what came of it", w->course);
    _cleanup_free_ char *text = shown(str_from(why));
    return error_set(err, reason_of(json_str_at(said, "reason")), "course %s: %s", w->course, text);
}

/* --- Asking the runner --- */

static int refused(const struct answer *a, struct error **err)
{
    _cleanup_free_ char *said = shown(str_trim(buffer_str(&a->body)));
    enum reason reason = a->status == 400   ? REASON_BAD_REQUEST
                         : a->status == 404 ? REASON_NOT_FOUND
                         : a->status == 409 ? REASON_CONFLICT
                         : a->status == 422 ? REASON_INVALID
                         : a->status == 429 ? REASON_TOO_MANY_REQUESTS
                                            : REASON_SERVICE_UNAVAILABLE;

    return error_set(err, reason, "%s", said);
}

static int ask(struct copying *w, struct answer *answer, struct error **err)
{
    const struct call call = {
        .method = "POST", .path = w->path, .timeout_ms = WORK_MS, .stop_fd = w->stop_fd, .max_body = ANSWER_MAX};

    if (transport_call(w->runner, &call, answer, err) < 0) {
        (*err)->reason = REASON_SERVICE_UNAVAILABLE;
        (*err)->retry_after = RETRY_SECONDS;
        return error_wrap(err, "the runner does not answer");
    }
    return answer->status == 200 ? 0 : refused(answer, err);
}

static yyjson_mut_doc *work_on(struct copying *w, struct error **err)
{
    _cleanup_answer_ struct answer answer = {0};
    _cleanup_json_ yyjson_doc *said = NULL;

    if (ask(w, &answer, err) < 0)
        return NULL;
    said = json_parse(buffer_str(&answer.body), NULL);
    return check_result(w, yyjson_doc_get_root(said), err) < 0 ? NULL : describe(w, yyjson_doc_get_root(said));
}

static void run_copying(void *arg)
{
    struct copying *w = arg;
    struct error *err = NULL;
    _cleanup_json_mut_ yyjson_mut_doc *doc = work_on(w, &err);
    size_t n;

    if (doc == NULL) {
        request_fail(w->request, err);
    } else {
        _cleanup_free_ char *text = json_mut_write(yyjson_mut_doc_get_root(doc), &n);
        request_reply(w->request, 200, "application/json", (struct str){text, n});
    }
    copying_free(w);
}

/* It goes on inside, and can be asked for again. */
static void stop_waiting(void *arg)
{
    const struct copying *w = arg;

    eventfd_write(w->stop_fd, 1);
}

/* --- The request --- */

static int take_place(struct error **err)
{
    if (atomic_fetch_add(&at_work, 1) < MAX_AT_ONCE)
        return 0;
    atomic_fetch_sub(&at_work, 1);
    error_set(err, REASON_TOO_MANY_REQUESTS, "%d courses are being copied already", MAX_AT_ONCE);
    (*err)->retry_after = RETRY_SECONDS;
    return -1;
}

static struct copying *copying_new(struct request *r, const struct object *device, const struct hook_context *context,
                                   struct error **err)
{
    _cleanup_free_ char *course = read_course(request_operation(r)->body, err);

    if (course == NULL || check_running(device, err) < 0 || take_place(err) < 0)
        return NULL;
    struct copying *w = xcalloc(1, sizeof(*w));
    w->request = r;
    w->device = xstrdup(device->name);
    w->path = runner_path(context, device, course);
    w->course = steal_ptr(course);
    w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->runner = transport_new(&(struct transport_options){.socket = context->logs_socket, .url = "http://runner"});
    if (w->stop_fd >= 0)
        return w;
    error_errno(err, errno, "course"); /* without it nobody could end it */
    copying_free(w);
    return NULL;
}

void device_course(struct request *r, struct object *object, void *context_arg)
{
    const struct hook_context *context = context_arg;
    struct error *err = NULL;
    struct copying *w = copying_new(r, object, context, &err);

    if (w == NULL) {
        request_fail(r, err);
        return;
    }
    request_on_gone(r, stop_waiting, w);
    content_run_beside(context->content, run_copying, w);
}
