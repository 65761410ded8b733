#include "runner/engine/inside.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "runner/engine/conmon.h"
#include "runner/engine/container.h"
#include "runner/engine/logs.h"

/* What does not end stays: so many at a time, and no more. */
#define AT_ONCE 4
/* What a shell says where it finds no program, or one that it may not start, and the engines as well. */
#define NOT_EXECUTABLE 126
#define NOT_FOUND 127

struct run {
    struct engine *engine;
    const char *instance;
    const char *id; /* of what the engine calls an exec */
    struct demultiplexer demultiplexer;
    struct buffer *out;
    bool too_much;
};

/* --- What is known of one --- */

static yyjson_doc *inspect_run(struct engine *e, const char *id, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct request r = {"GET", arena_printf(a, API "/exec/%s/json", id), NULL, QUICK_MS, {200}};
    yyjson_doc *doc = NULL;

    return engine_request(e, &r, &doc, err) < 0 ? NULL : doc;
}

static bool is_running(struct engine *e, const char *id)
{
    _cleanup_json_ yyjson_doc *doc = inspect_run(e, id, NULL);

    return doc && json_bool_at(yyjson_doc_get_root(doc), "Running", false);
}

static int check_number(struct engine *e, struct arena *a, yyjson_val *container, struct error **err)
{
    yyjson_val *ids = json_at(container, "ExecIDs"), *one;
    unsigned running = 0;
    size_t i, n;

    yyjson_arr_foreach (ids, i, n, one) {
        running += yyjson_is_str(one) && is_running(e, url_quote(a, yyjson_get_str(one)));
    }
    if (running < AT_ONCE)
        return 0;
    return error_set(err, REASON_CONFLICT, "%u programs are being run in the environment already", running);
}

/* --- Its start --- */

static yyjson_mut_doc *describe_run(const struct runtime_program *p)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d), *arguments = yyjson_mut_arr(d);

    yyjson_mut_doc_set_root(d, root);
    json_mut_set_bool(d, root, "AttachStdout", true);
    for (size_t i = 0; i < p->arguments_len; i++)
        yyjson_mut_arr_add_strcpy(d, arguments, p->arguments[i]);
    json_mut_set(d, root, "Cmd", arguments);
    return d;
}

static int create_run(struct engine *e, struct arena *a, const char *instance, const struct runtime_program *p,
                      const char **id, struct error **err)
{
    _cleanup_json_ yyjson_doc *container = NULL, *made = NULL;

    if (engine_inspect(e, a, instance, &container, err) < 0 ||
        check_number(e, a, yyjson_doc_get_root(container), err) < 0)
        return -1;
    const char *where = json_str_at(yyjson_doc_get_root(container), "Id");
    _cleanup_json_mut_ yyjson_mut_doc *body = describe_run(p);
    struct request r = {
        "POST", arena_printf(a, API "/containers/%s/exec", url_quote(a, where ? where : "")), body, SLOW_MS, {201}};
    if (engine_request(e, &r, &made, err) < 0)
        return -1;
    const char *said = json_str_at(yyjson_doc_get_root(made), "Id");
    if (said == NULL)
        return error_set(err, REASON_INTERNAL, "the container engine does not say what it made");
    *id = url_quote(a, said);
    return 0;
}

/* --- While it runs --- */

static pid_t parent_of(pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)pid);
    _cleanup_free_ char *text = read_file(path, 65536, NULL, NULL);
    const char *line = text ? strstr(text, "\nPPid:\t") : NULL;
    unsigned long long n;
    struct str number = line ? (struct str){line + 7, strcspn(line + 7, "\n")} : STR("");

    return str_to_u64(number, INT32_MAX, &n) == 0 ? (pid_t)n : 0;
}

static bool is_conmon(pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/comm", (int)pid);
    _cleanup_free_ char *text = read_file(path, 64, NULL, NULL);

    return streq(text, "conmon\n");
}

/* Whatever it prints costs no more than what the environment prints itself. */
static void bound_reader(void *arg, unsigned status)
{
    const struct run *r = arg;
    _cleanup_json_ yyjson_doc *doc =
        status / 100 == 2 && r->engine->podman ? inspect_run(r->engine, r->id, NULL) : NULL;
    pid_t pid = doc ? (pid_t)json_int_at(yyjson_doc_get_root(doc), "Pid", 0) : 0;
    pid_t reader = pid > 1 ? parent_of(pid) : 0;

    if (reader > 1 && is_conmon(reader))
        engine_conmon_bound(r->instance, reader);
}

static int collect(void *arg, struct str text)
{
    struct run *r = arg;

    buffer_add(r->out, text);
    r->too_much = r->out->overflow;
    return r->too_much ? -1 : 0;
}

static int take_piece(void *arg, struct str piece)
{
    struct run *r = arg;
    return demultiplex(&r->demultiplexer, piece, collect, r);
}

static int follow_run(struct run *r, struct arena *a, const struct runtime_program *p, struct error **err)
{
    _cleanup_answer_ struct answer answer = {0};
    struct transport *t;
    struct call c = {.method = "POST",
                     .path = arena_printf(a, API "/exec/%s/start", r->id),
                     .content_type = "application/json",
                     .body = STR("{\"Detach\":false,\"Tty\":false}"),
                     .timeout_ms = p->seconds * 1000,
                     .silence_s = p->silence_s,
                     .stop_fd = p->stop_fd >= 0 ? p->stop_fd : r->engine->stop_fd,
                     .begun = bound_reader,
                     .receive = take_piece,
                     .arg = r};

    if (engine_transport(r->engine, &t, err) < 0 || transport_call(t, &c, &answer, err) < 0)
        return -1;
    if (r->too_much)
        return error_set(err, REASON_REQUEST_TOO_LARGE, "the program says more than %zu bytes", r->out->max);
    return answer.status / 100 == 2 ? 0 : engine_refused("to run a program", &answer, err);
}

/* How an engine says that there is none: at once, or as a shell would. */
static int check_found(struct run *r, int rc, const char *program, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = rc == 0 ? inspect_run(r->engine, r->id, NULL) : NULL;
    int64_t code = doc ? json_int_at(yyjson_doc_get_root(doc), "ExitCode", 0) : 0;
    bool missing = rc < 0 && err && *err && strstr((*err)->message, "executable file");

    if (!missing && (rc < 0 || (code != NOT_FOUND && code != NOT_EXECUTABLE)))
        return rc;
    if (err)
        error_free(steal_ptr(*err));
    return error_set(err, REASON_INVALID, "there is no program %s in the environment's image", program);
}

int engine_run_inside(struct runtime *runtime, const char *instance, const struct runtime_program *p,
                      struct buffer *out, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct run r = {.engine = engine_of(runtime), .instance = instance, .out = out};

    if (create_run(r.engine, a, instance, p, &r.id, err) < 0)
        return -1;
    return check_found(&r, follow_run(&r, a, p, err), p->arguments[0], err);
}
