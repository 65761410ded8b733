#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/io.h"
#include "client/lines.h"
#include "runner/engine/calls.h"
#include "runner/engine/image.h"
#include "runner/engine/image_inflate.h"
#include "runner/engine/pull_stream.h"

#define SILENCE_SECONDS 900 /* nothing is said while it is unpacked */
#define LINE_MAX_BYTES 65536
#define ERROR_MAX_BYTES 65536
#define LOADED "Loaded image"

/* --- In --- */

struct loading {
    struct pull_stream said;
    int (*progress)(void *arg, const struct runtime_progress *p);
    void (*loaded)(void *arg, const char *name);
    void *arg;
    uint64_t size;
};

static void take_sent(void *arg, uint64_t bytes)
{
    const struct line_reader *reader = arg;
    const struct loading *l = reader->arg;

    l->progress(l->arg, &(struct runtime_progress){.bytes = bytes, .bytes_total = l->size});
}

/* «Loaded image: NAME», «Loaded image ID: sha256:…»; Podman names several with commas. */
static void take_loaded(const struct loading *l, const char *text)
{
    const char *colon = strchr(text, ':');
    struct str rest, name;

    if (!starts_with(text, LOADED) || colon == NULL)
        return;
    rest = str_trim(str_from(colon + 1));
    while (str_split(&rest, ',', &name)) {
        _cleanup_free_ char *copy = xstrndup(name.p, name.n);
        l->loaded(l->arg, copy);
    }
}

static int take_line(void *arg, struct str line)
{
    struct loading *l = arg;
    _cleanup_json_ yyjson_doc *doc = json_parse(line, NULL);
    const char *text = doc ? json_str_at(yyjson_doc_get_root(doc), "stream") : NULL;

    pull_stream_take(&l->said, line);
    if (text)
        take_loaded(l, text);
    return 0;
}

static int send_archive(struct engine *e, struct loading *l, struct str whole, struct error **err)
{
    struct line_reader reader = {.part = BUFFER_MAX(LINE_MAX_BYTES), .skip_long = true, .line = take_line, .arg = l};
    _cleanup_answer_ struct answer answer = {0};
    struct transport *t;
    struct call call = {.method = "POST",
                        .path = API "/images/load?quiet=1",
                        .content_type = "application/x-tar",
                        .body = whole,
                        .silence_s = SILENCE_SECONDS,
                        .stop_fd = e->stop_fd,
                        .max_body = ERROR_MAX_BYTES,
                        .receive = line_reader_take,
                        .sent = take_sent,
                        .arg = &reader};

    if (engine_transport(e, &t, err) < 0)
        return -1;
    int rc = transport_call(t, &call, &answer, err);
    if (rc == 0)
        line_reader_take(&reader, STR("\n"));
    buffer_free(&reader.part);
    if (rc == 0 && l->said.failed)
        return error_set(err, REASON_INVALID, "%s", l->said.failed);
    return rc < 0 || answer.status == 200 ? rc : engine_refused("POST", &answer, err);
}

/* Mapped, not read: it may be larger than this machine's memory. */
static int load_plain(struct runtime *r, int file, int (*progress)(void *arg, const struct runtime_progress *p),
                      void (*loaded)(void *arg, const char *name), void *arg, struct error **err)
{
    struct stat st;

    if (fstat(file, &st) < 0)
        return error_errno(err, errno, "stat");
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return error_set(err, REASON_INVALID, "it is no file with something in it");
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, file, 0);
    if (p == MAP_FAILED)
        return error_errno(err, errno, "mmap");
    struct loading *l = xcalloc(1, sizeof(*l));
    l->progress = progress;
    l->loaded = loaded;
    l->arg = arg;
    l->size = (uint64_t)st.st_size;
    int rc = send_archive(engine_of(r), l, (struct str){p, (size_t)st.st_size}, err);
    munmap(p, (size_t)st.st_size);
    free(l->said.failed);
    free(l);
    return rc;
}

int engine_image_load(struct runtime *r, int file, int (*progress)(void *arg, const struct runtime_progress *p),
                      void (*loaded)(void *arg, const char *name), void *arg, struct error **err)
{
    _cleanup_close_ int plain = image_archive_inflate(file, err);

    return plain < 0 ? -1 : load_plain(r, plain, progress, loaded, arg, err);
}

/* --- Out --- */

struct saving {
    int file;
    int (*progress)(void *arg, const struct runtime_progress *p);
    void *arg;
    struct runtime_progress now;
    struct error *failed;
};

static int take_piece(void *arg, struct str piece)
{
    struct saving *s = arg;

    if (write_all(s->file, piece.p, piece.n, &s->failed) < 0)
        return -1;
    s->now.bytes += piece.n;
    return s->progress(s->arg, &s->now);
}

int engine_image_save(struct runtime *r, const char *image, int file,
                      int (*progress)(void *arg, const struct runtime_progress *p), void *arg, struct error **err)
{
    struct engine *e = engine_of(r);
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_answer_ struct answer answer = {0};
    struct saving s = {file, progress, arg, {0}, NULL};
    struct transport *t;
    struct call call = {.method = "GET",
                        .path = arena_printf(a, API "/images/%s/get", url_quote(a, image)),
                        .silence_s = SILENCE_SECONDS,
                        .stop_fd = e->stop_fd,
                        .max_body = ERROR_MAX_BYTES,
                        .receive = take_piece,
                        .arg = &s};

    if (engine_transport(e, &t, err) < 0 || transport_call(t, &call, &answer, err) < 0)
        return -1;
    if (s.failed) {
        error_set(err, s.failed->reason, "%s", s.failed->message);
        error_free(s.failed);
        return -1;
    }
    if (answer.status != 200)
        return engine_refused("GET", &answer, err);
    return fsync(file) < 0 && errno != EINVAL && errno != EROFS ? error_errno(err, errno, "fsync") : 0;
}
