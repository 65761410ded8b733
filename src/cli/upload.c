/* `upload`: sends a file as the content of a data set or a course, by tus, and goes on where it was cut off: after a
 * pause of the line, a restart of the server, or when it is called again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/administrator.h"
#include "cli/command.h"
#include "cli/layout.h"

#define COLLECTIONS "/apis/open-hydra-server.openhydra.io/v1/"
#define TUS "Tus-Resumable: 1.0.0"
#define SAY_EVERY_US 200000
#define LOOK_EVERY_US 300000
#define CALL_SECONDS 120
#define FAILURES_MAX 40 /* in a row; 15 s between the last */
#define PAUSE_MAX 15
#define NAME_BYTES_MAX 255

struct sending {
    struct administrator *server;
    char *object;   /* path */
    char *location; /* where it goes on */
    char *metadata; /* says which file it is: name, size and time of the last change */
    int file;
    uint64_t size, offset;
    uint64_t began_at; /* of this run */
    int64_t began_us, said_us;
    bool shows; /* on a terminal */
};

static int wrong_use(void)
{
    fputs("Usage: open-hydra-server upload dataset|course NAME FILE\n", stderr);
    return 2;
}

/* --- What the terminal shows --- */

static void show(struct sending *s, uint64_t sent, bool now)
{
    int64_t at = clock_monotonic_us();

    if (!s->shows || (!now && at - s->said_us < SAY_EVERY_US))
        return;
    s->said_us = at;
    double seconds = (double)(at - s->began_us) / 1e6, speed = seconds > 0 ? (double)(sent - s->began_at) / seconds : 0;
    fprintf(stderr, "\r\033[K%3d %%  %.1f of %.1f MiB  %.1f MiB/s",
            s->size ? (int)(100.0 * (double)sent / (double)s->size) : 100, (double)sent / 1048576,
            (double)s->size / 1048576, speed / 1048576);
}

static void on_sent(void *arg, uint64_t sent)
{
    show(arg, sent, false);
}

static void show_line(const struct sending *s, const char *text)
{
    _cleanup_free_ char *plain = xstrdup(text);

    plain[text_clean(plain, strlen(plain), "")] = '\0';
    if (s->shows)
        fprintf(stderr, "\r\033[K%s", plain);
}

static void end_line(const struct sending *s)
{
    if (s->shows)
        fputs("\r\033[K", stderr);
}

/* --- Calls --- */

static int call(struct sending *s, const char *method, const char *path, const char *const *headers,
                struct administrator_answer *out, struct error **err)
{
    const struct administrator_call c = {.method = method, .path = path, .headers = headers, .timeout_s = CALL_SECONDS};

    return administrator_call(s->server, &c, out, err);
}

static void take_location(struct sending *s, struct administrator_answer *a)
{
    free(s->location);
    s->location = steal_ptr(a->location);
    s->offset = a->offset;
}

/* Whether what an earlier call has begun is of the same file. */
static int find_begun(struct sending *s, struct error **err)
{
    _cleanup_administrator_answer_ struct administrator_answer a = {0};
    _cleanup_free_ char *path = xasprintf("%s/upload", s->object);
    static const char *const headers[] = {TUS, NULL};

    if (call(s, "HEAD", path, headers, &a, err) < 0)
        return -1;
    if (a.status != 200 || a.location == NULL || !streq(a.metadata, s->metadata) || a.offset > s->size)
        return 0;
    take_location(s, &a);
    return 1;
}

static int begin(struct sending *s, struct error **err)
{
    _cleanup_administrator_answer_ struct administrator_answer a = {0};
    _cleanup_free_ char *path = xasprintf("%s/upload", s->object);
    _cleanup_free_ char *length = xasprintf("Upload-Length: %llu", (unsigned long long)s->size);
    _cleanup_free_ char *metadata = xasprintf("Upload-Metadata: %s", s->metadata);
    const char *const headers[] = {TUS, length, metadata, NULL};

    if (call(s, "POST", path, headers, &a, err) < 0 || administrator_accepted(&a, err) < 0)
        return -1;
    if (a.location == NULL)
        return error_set(err, REASON_INTERNAL, "the server does not say where to send it");
    take_location(s, &a);
    return 0;
}

static int send_rest(struct sending *s, struct error **err)
{
    _cleanup_administrator_answer_ struct administrator_answer a = {0};
    _cleanup_free_ char *offset = xasprintf("Upload-Offset: %llu", (unsigned long long)s->offset);
    const char *const headers[] = {TUS, offset, NULL};
    const struct administrator_call c = {.method = "PATCH",
                                         .path = s->location,
                                         .content_type = "application/offset+octet-stream",
                                         .headers = headers,
                                         .has_file = true,
                                         .file = s->file,
                                         .from = s->offset,
                                         .to = s->size,
                                         .progress = on_sent,
                                         .progress_arg = s};

    if (administrator_call(s->server, &c, &a, err) < 0 || administrator_accepted(&a, err) < 0)
        return -1;
    s->offset = a.has_offset ? a.offset : s->size;
    return 0;
}

/* What of it is there. */
static int look(struct sending *s, struct error **err)
{
    _cleanup_administrator_answer_ struct administrator_answer a = {0};
    static const char *const headers[] = {TUS, NULL};

    if (call(s, "HEAD", s->location, headers, &a, err) < 0 || administrator_accepted(&a, err) < 0)
        return -1;
    if (a.has_offset)
        s->offset = a.offset;
    return 0;
}

/* --- Again and again --- */

static bool is_final(const struct error *err)
{
    return err->reason != REASON_SERVICE_UNAVAILABLE && err->reason != REASON_CONFLICT &&
           err->reason != REASON_INTERNAL;
}

static int try_again(struct sending *s, unsigned *failures, struct error **why, struct error **err)
{
    unsigned pause = *failures < 4 ? 1U << *failures : PAUSE_MAX;

    if (is_final(*why) || ++*failures > FAILURES_MAX) {
        *err = steal_ptr(*why);
        return -1;
    }
    _cleanup_free_ char *text = xasprintf("%s; trying again in %u s", (*why)->message, pause);
    show_line(s, text);
    error_free(steal_ptr(*why));
    sleep(pause);
    return 0;
}

static int send_all(struct sending *s, struct error **err)
{
    unsigned failures = 0;

    while (s->offset < s->size) {
        uint64_t before = s->offset;
        struct error *why = NULL;
        if (send_rest(s, &why) == 0)
            continue;
        if (try_again(s, &failures, &why, err) < 0)
            return -1;
        while (look(s, &why) < 0)
            if (try_again(s, &failures, &why, err) < 0)
                return -1;
        failures = s->offset > before ? 0 : failures;
    }
    show(s, s->size, true);
    return 0;
}

/* --- What comes of it --- */

static int look_at_object(struct sending *s, bool *over, struct error **err)
{
    _cleanup_administrator_answer_ struct administrator_answer a = {0};

    if (call(s, "GET", s->object, NULL, &a, err) < 0 || administrator_accepted(&a, err) < 0)
        return -1;
    _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&a.body), err);
    if (doc == NULL)
        return -1;
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *phase = json_str_at(root, "status.phase"), *message = json_str_at(root, "status.message");
    const char *progress = json_str_at(root, "status.progress");
    *over = !streq(phase, "Uploading") && !streq(phase, "Unpacking");
    if (*over && !streq(phase, "Ready"))
        return error_set(err, REASON_INVALID, "%s", message ? message : "it was given up");
    _cleanup_free_ char *text = xasprintf("%s %s", phase ? phase : "", progress ? progress : "");
    if (!*over) {
        show_line(s, text);
        return 0;
    }
    end_line(s);
    printf("version %lld: %lld files, %lld bytes, SHA-256 of the file %s\n",
           (long long)json_int_at(root, "status.version", 0), (long long)json_int_at(root, "status.files", 0),
           (long long)json_int_at(root, "status.size", 0), json_str_at(root, "status.checksum"));
    return 0;
}

static int wait_for_content(struct sending *s, struct error **err)
{
    unsigned failures = 0;

    for (bool over = false; !over;) {
        struct error *why = NULL;
        if (look_at_object(s, &over, &why) == 0)
            failures = 0;
        else if (why->reason != REASON_SERVICE_UNAVAILABLE) {
            *err = why;
            return -1;
        } else if (try_again(s, &failures, &why, err) < 0)
            return -1;
        if (!over)
            usleep(LOOK_EVERY_US);
    }
    return 0;
}

static int run_upload(struct sending *s, struct error **err)
{
    int begun = find_begun(s, err);

    if (begun < 0 || (begun == 0 && begin(s, err) < 0))
        return -1;
    s->began_at = s->offset;
    s->began_us = clock_monotonic_us();
    return send_all(s, err) < 0 ? -1 : wait_for_content(s, err);
}

/* --- The command --- */

static char *metadata_of(const char *path, const struct stat *st)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    _cleanup_free_ char *print =
        xasprintf("%llu-%lld-%ld", (unsigned long long)st->st_ino, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    _cleanup_free_ char *encoded = base64_encode(name, strlen(name)),
                        *fingerprint = base64_encode(print, strlen(print));

    return xasprintf("filename %s,fingerprint %s", encoded, fingerprint);
}

static int open_file(struct sending *s, const char *path, struct error **err)
{
    struct stat st;

    s->file = open(path, O_RDONLY | O_CLOEXEC);
    if (s->file < 0 || fstat(s->file, &st) < 0)
        return error_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, REASON_INVALID, "%s is no file: pack a folder first (zip, tar)", path);
    s->size = (uint64_t)st.st_size;
    s->metadata = metadata_of(path, &st);
    return 0;
}

static void sending_clear(struct sending *s)
{
    administrator_free(s->server);
    if (s->file >= 0)
        close(s->file);
    free(s->object);
    free(s->location);
    free(s->metadata);
}

static int upload_file(const char *kubeconfig, const char *plural, const char *name, const char *path,
                       struct error **err)
{
    struct sending s = {.file = -1, .shows = isatty(STDERR_FILENO)};
    int rc = open_file(&s, path, err);

    _cleanup_buffer_ struct buffer quoted = BUFFER_MAX(3 * NAME_BYTES_MAX + 1);
    buffer_percent_encode(&quoted, str_from(name));
    s.object = xasprintf(COLLECTIONS "%s/%s", plural, quoted.p);
    if (rc == 0)
        s.server = administrator_new(kubeconfig, err);
    if (rc == 0 && s.server == NULL)
        rc = -1;
    if (rc == 0)
        rc = run_upload(&s, err);
    if (rc < 0)
        end_line(&s);
    sending_clear(&s);
    return rc;
}

static bool is_folder_name(const char *name)
{
    return *name && *name != '.' && strchr(name, '/') == NULL && strlen(name) <= NAME_BYTES_MAX &&
           text_is_plain(str_from(name), "");
}

int command_upload(const struct config *config, int argc, char **argv)
{
    struct error *err = NULL;
    const char *plural = argc != 4                   ? NULL
                         : streq(argv[1], "dataset") ? "datasets"
                         : streq(argv[1], "course")  ? "courses"
                                                     : NULL;

    if (plural == NULL)
        return wrong_use();
    if (!is_folder_name(argv[2])) {
        fprintf(stderr, "open-hydra-server: this is no name: one has no slash, no dot at its begin, at most %d bytes\n",
                NAME_BYTES_MAX);
        return 2;
    }
    struct layout *l = layout_new(config);
    int rc = upload_file(l->kubeconfig, plural, argv[2], argv[3], &err);
    layout_free(l);
    return rc < 0 ? command_fail(err) : 0;
}
