#include "runner/source/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/io.h"
#include "runner/source/process.h"

#define SECONDS (6 * 3600)
#define NOBODY 65534
#define COMMIT_DIGITS_MIN 40
#define REPOSITORY "repository.git"
/* As before a start of an environment (engine/disk.c): of a small disk a twentieth part. */
#define SMALL_PART 20

struct taking {
    const struct fetch *fetch;
    int folder; /* to work in: on the disk that is filled */
    int file;   /* -1: what comes is a small text */
    bool clears;
    struct buffer text;
    uint64_t bytes;
    EVP_MD_CTX *hash; /* NULL: nobody said what it should be */
};

/* The database is on the same disk. */
static int check_room(const struct taking *t, struct error **err)
{
    struct statvfs st;

    if (fstatvfs(t->folder, &st) < 0)
        return error_errno(err, errno, "look at the disk of %s", t->fetch->folder);
    uint64_t whole = (uint64_t)st.f_blocks * st.f_frsize, minimum = t->fetch->config->minimum_free_mib << 20;
    if ((uint64_t)st.f_bavail * st.f_frsize >= (minimum < whole / SMALL_PART ? minimum : whole / SMALL_PART))
        return 0;
    return error_set(err, REASON_INSUFFICIENT_STORAGE, "the disk of %s is full (minimumFreeDisk)", t->fetch->folder);
}

static int take(void *arg, struct str piece, struct error **err)
{
    struct taking *t = arg;

    if (!t->clears && check_room(t, err) < 0)
        return -1;
    if (t->file < 0) {
        buffer_add(&t->text, piece);
        return 0;
    }
    t->bytes += piece.n;
    if (t->bytes > t->fetch->max_bytes)
        return error_set(err, REASON_REQUEST_TOO_LARGE, "more comes of it than %llu bytes",
                         (unsigned long long)t->fetch->max_bytes);
    if (piece.n && write_all(t->file, piece.p, piece.n, err) < 0)
        return -1;
    if (t->hash)
        EVP_DigestUpdate(t->hash, piece.p, piece.n);
    t->fetch->progress(t->fetch->arg, t->bytes);
    return 0;
}

static int run(struct taking *t, int folder, bool network, const char *const *arguments, struct error **err)
{
    const struct process p = {.arguments = arguments,
                              .folder = folder,
                              .network = network,
                              .file_bytes = t->fetch->max_bytes,
                              .seconds = SECONDS,
                              .stop_fd = t->fetch->stop_fd,
                              .take = take,
                              .arg = t};

    return process_run(&p, err);
}

/* --- A folder of this machine --- */

static int fetch_folder(struct taking *t, struct error **err)
{
    static const char *const arguments[] = {"/usr/bin/tar",      "--create", "--file=-", "--format=pax",
                                            "--one-file-system", ".",        NULL};
    _cleanup_close_ int folder = wanted_open_folder(t->fetch->config, t->fetch->wanted, err);

    return folder < 0 ? -1 : run(t, folder, false, arguments, err);
}

/* --- By HTTPS --- */

static int begin_hash(struct taking *t, struct error **err)
{
    if (t->fetch->wanted->sha256 == NULL)
        return 0;
    t->hash = EVP_MD_CTX_new();
    return t->hash && EVP_DigestInit_ex(t->hash, EVP_sha256(), NULL) == 1
               ? 0
               : error_set(err, REASON_INTERNAL, "SHA-256 is not offered here");
}

static int check_hash(struct taking *t, struct error **err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (t->hash == NULL)
        return 0;
    EVP_DigestFinal_ex(t->hash, sum, &n);
    _cleanup_free_ char *text = hex_encode(sum, n);
    return streq(text, t->fetch->wanted->sha256)
               ? 0
               : error_set(err, REASON_INVALID, "spec.source.archive.sha256: what comes has %s", text);
}

static int fetch_archive(struct taking *t, int folder, struct error **err)
{
    _cleanup_free_ char *most = xasprintf("%llu", (unsigned long long)t->fetch->max_bytes);
    const char *authority = t->fetch->config->content_authority;
    const char *const arguments[] = {"/usr/bin/curl",
                                     "--disable",
                                     "--fail",
                                     "--silent",
                                     "--show-error",
                                     "--globoff",
                                     "--proto",
                                     "=https",
                                     "--location", /* none: it fails */
                                     "--max-redirs",
                                     "0",
                                     "--max-filesize",
                                     most,
                                     "--connect-timeout",
                                     "30",
                                     "--speed-limit",
                                     "1",
                                     "--speed-time",
                                     "60",
                                     "--noproxy",
                                     "*",
                                     "--url",
                                     t->fetch->wanted->url,
                                     authority ? "--cacert" : NULL,
                                     authority,
                                     NULL};

    return begin_hash(t, err) < 0 || run(t, folder, true, arguments, err) < 0 ? -1 : check_hash(t, err);
}

/* --- A repository --- */

static int clone_repository(struct taking *t, int folder, struct error **err)
{
    const struct wanted *w = t->fetch->wanted;
    const char *authority = t->fetch->config->content_authority;
    _cleanup_free_ char *trust = authority ? xasprintf("http.sslCAInfo=%s", authority) : xstrdup("http.sslVerify=true");
    const char *const arguments[] = {"/usr/bin/git",
                                     "-c",
                                     trust,
                                     "-c",
                                     "protocol.allow=never",
                                     "-c",
                                     "protocol.https.allow=always",
                                     "-c",
                                     "http.followRedirects=false",
                                     "-c",
                                     "http.lowSpeedLimit=1",
                                     "-c",
                                     "http.lowSpeedTime=60",
                                     "-c",
                                     "core.hooksPath=/dev/null",
                                     "-c",
                                     "credential.helper=",
                                     "-c",
                                     "transfer.fsckObjects=true",
                                     "clone",
                                     "--quiet",
                                     "--bare",
                                     "--depth=1",
                                     "--single-branch",
                                     "--no-tags",
                                     "--template=",
                                     w->ref ? "--branch" : "--",
                                     w->ref ? w->ref : w->url,
                                     w->ref ? "--" : REPOSITORY,
                                     w->ref ? w->url : NULL,
                                     w->ref ? REPOSITORY : NULL,
                                     NULL};

    return run(t, folder, true, arguments, err);
}

static int read_commit(struct taking *t, int folder, struct fetched *out, struct error **err)
{
    static const char *const arguments[] = {"/usr/bin/git", "--git-dir=" REPOSITORY, "rev-parse", "HEAD", NULL};

    if (run(t, folder, false, arguments, err) < 0)
        return -1;
    struct str text = str_trim(buffer_str(&t->text));
    if (text.n < COMMIT_DIGITS_MIN || text.n >= sizeof(out->commit))
        return error_set(err, REASON_INVALID, "git does not say which commit it has");
    snprintf(out->commit, sizeof(out->commit), "%.*s", (int)text.n, text.p);
    return 0;
}

static int fetch_repository(struct taking *t, int folder, struct fetched *out, struct error **err)
{
    static const char *const arguments[] = {"/usr/bin/git", "--git-dir=" REPOSITORY, "-c",   "core.hooksPath=/dev/null",
                                            "archive",      "--format=tar",          "HEAD", NULL};
    int file = t->file;

    t->file = -1;
    *out = (struct fetched){0};
    if (clone_repository(t, folder, err) < 0 || read_commit(t, folder, out, err) < 0)
        return -1;
    t->file = file;
    return run(t, folder, false, arguments, err);
}

/* --- All of them --- */

static int open_work_folder(const struct fetch *f, struct error **err)
{
    if ((mkdir(f->folder, 0700) < 0 && errno != EEXIST) || (geteuid() == 0 && lchown(f->folder, NOBODY, NOBODY) < 0))
        return error_errno(err, errno, "make %s", f->folder);
    int fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_errno(err, errno, "open %s", f->folder) : fd;
}

/* By nobody, whose it all is. */
static int empty(struct taking *t, int folder, struct error **err)
{
    static const char *const arguments[] = {"/usr/bin/find", ".", "-mindepth", "1", "-delete", NULL};
    int file = t->file;

    t->file = -1;
    t->clears = true;
    int rc = run(t, folder, false, arguments, err);
    t->clears = false;
    t->file = file;
    return rc;
}

static int fetch_wanted(struct taking *t, int folder, struct fetched *out, struct error **err)
{
    switch (t->fetch->wanted->type) {
    case SOURCE_FOLDER:
        return fetch_folder(t, err);
    case SOURCE_ARCHIVE:
        return fetch_archive(t, folder, err);
    case SOURCE_GIT:
        return fetch_repository(t, folder, out, err);
    case SOURCE_UPLOAD:
        break;
    }
    return error_set(err, REASON_INTERNAL, "there is nothing to fetch");
}

int fetch_run(const struct fetch *f, int file, struct fetched *out, struct error **err)
{
    struct taking t = {.fetch = f, .file = file, .text = BUFFER_MAX(4096)};
    _cleanup_close_ int folder = open_work_folder(f, err);

    t.folder = folder;
    int rc = folder < 0 || empty(&t, folder, err) < 0 ? -1 : fetch_wanted(&t, folder, out, err);

    if (folder >= 0 && empty(&t, folder, NULL) == 0)
        rmdir(f->folder);
    EVP_MD_CTX_free(t.hash);
    buffer_free(&t.text);
    return rc;
}
