#include "runner/source/wanted.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/io.h"

#define HTTPS "https://"
#define REF_BYTES_MAX 255
#define URL_BYTES_MAX 2048

/* --- Reading --- */

static enum source_type type_of(const char *name)
{
    static const char *const names[] = {[SOURCE_FOLDER] = "Folder", [SOURCE_GIT] = "Git", [SOURCE_ARCHIVE] = "Archive"};

    for (size_t i = SOURCE_FOLDER; i < ARRAY_SIZE(names); i++)
        if (streq(name, names[i]))
            return (enum source_type)i;
    return SOURCE_UPLOAD;
}

static const char *last_part(struct arena *a, const char *url)
{
    size_t n = strcspn(url, "?#");
    const char *whole = arena_strndup(a, url, n), *slash = strrchr(whole, '/');

    return slash && slash[1] ? slash + 1 : "file";
}

static const char *text_at(struct arena *a, yyjson_val *source, const char *path)
{
    const char *text = json_str_at(source, path);
    return text ? arena_strdup(a, text) : NULL;
}

void wanted_read(struct arena *a, yyjson_val *object, struct wanted *out)
{
    yyjson_val *source = json_at(object, "spec.source");

    *out = (struct wanted){.type = type_of(json_str_at(source, "type"))};
    if (out->type == SOURCE_UPLOAD)
        return;
    size_t n;
    _cleanup_free_ char *text = json_write(source, &n);
    out->text = arena_strndup(a, text, n);
    out->path = text_at(a, source, "folder.path");
    out->url = text_at(a, source, out->type == SOURCE_GIT ? "git.url" : "archive.url");
    out->ref = text_at(a, source, "git.ref");
    out->sha256 = text_at(a, source, "archive.sha256");
    out->file_name = out->type == SOURCE_ARCHIVE && out->url ? last_part(a, out->url) : "content.tar";
}

/* --- What is allowed --- */

static bool is_within(const char *text, const char *allowed)
{
    size_t n = strlen(allowed);

    while (n && allowed[n - 1] == '/')
        n--;
    return strncmp(text, allowed, n) == 0 && (text[n] == '\0' || text[n] == '/');
}

/* The longest entry that it lies in, which may end with a slash where the text does not; NULL: none. */
static const char *allowed_by(const struct config *c, const char *text)
{
    const char *found = NULL;

    for (char **one = c->content_sources; one && *one; one++)
        if (is_within(text, *one) && (found == NULL || strlen(*one) > strlen(found)))
            found = *one;
    return found;
}

static bool has_dots(const char *path)
{
    struct str rest = str_from(path), part;

    while (str_split(&rest, '/', &part))
        if (str_is(part, ".") || str_is(part, ".."))
            return true;
    return false;
}

static int refuse(const char *field, const char *text, struct error **err)
{
    return error_set(err, REASON_FORBIDDEN, "%s: %s lies in nothing that contentSources allows", field, text);
}

static int check_folder(const struct config *c, const struct wanted *w, struct error **err)
{
    if (w->path == NULL || *w->path != '/' || has_dots(w->path))
        return error_set(err, REASON_INVALID, "spec.source.folder.path: an absolute path without dots is expected");
    return allowed_by(c, w->path) ? 0 : refuse("spec.source.folder.path", w->path, err);
}

/* What every reader of it reads alike: no user, no port but digits, nothing that is cut out or decoded on the way. */
static bool is_plain_url(const char *url)
{
    const char *rest = url + strlen(HTTPS);

    if (strncmp(url, HTTPS, strlen(HTTPS)) != 0 || strlen(url) > URL_BYTES_MAX || has_dots(rest))
        return false;
    for (const char *c = rest; *c; c++)
        if (!ascii_isalnum(*c) && strchr("-._~/:?&=+,", *c) == NULL)
            return false;
    return ascii_isalnum(*rest);
}

static int check_url(const struct config *c, const char *field, const char *url, struct error **err)
{
    if (url == NULL || !is_plain_url(url))
        return error_set(err, REASON_INVALID,
                         "%s: an address of letters, digits and -._~/:?&=+, is expected, https://…", field);
    return allowed_by(c, url) ? 0 : refuse(field, url, err);
}

static int check_ref(const char *ref, struct error **err)
{
    bool plain = ref == NULL || (ascii_isalnum(*ref) && strlen(ref) <= REF_BYTES_MAX && strstr(ref, "..") == NULL);

    for (const char *c = ref; plain && c && *c; c++)
        plain = ascii_isalnum(*c) || strchr("-._/+", *c);
    return plain ? 0 : error_set(err, REASON_INVALID, "spec.source.git.ref: the name of a branch or tag is expected");
}

int wanted_check(const struct config *c, const struct wanted *w, struct error **err)
{
    switch (w->type) {
    case SOURCE_FOLDER:
        return check_folder(c, w, err);
    case SOURCE_GIT:
        return check_url(c, "spec.source.git.url", w->url, err) < 0 ? -1 : check_ref(w->ref, err);
    case SOURCE_ARCHIVE:
        return check_url(c, "spec.source.archive.url", w->url, err);
    case SOURCE_UPLOAD:
        break;
    }
    return 0;
}

static const char *path_below(const char *path, const char *root)
{
    size_t n = strlen(root);
    const char *rest = path + (n < strlen(path) ? n : strlen(path));

    while (*rest == '/')
        rest++;
    return rest;
}

static int open_folder_below(int top, const char *path, int flags)
{
    return open_beneath(top, *path ? path : ".", flags | O_DIRECTORY, 0);
}

/* Root passes folders that nobody else may enter, and would let out what lies below them; what is read is read without
 * privileges. */
static int check_way(int top, const char *path)
{
    _cleanup_free_ char *way = xstrdup(path);
    struct stat st;

    for (char *slash = geteuid() == 0 ? strchr(way, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        _cleanup_close_ int fd = open_folder_below(top, way, O_PATH);
        *slash = '/';
        if (fd < 0 || fstat(fd, &st) < 0)
            return -1;
        if (!(st.st_mode & S_IXOTH)) {
            errno = EACCES;
            return -1;
        }
    }
    return 0;
}

int wanted_open_folder(const struct config *c, const struct wanted *w, struct error **err)
{
    const char *root = allowed_by(c, w->path), *rest = root ? path_below(w->path, root) : "";
    _cleanup_close_ int top = root ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

    int fd = top < 0 || check_way(top, rest) < 0 ? -1 : open_folder_below(top, rest, O_RDONLY);
    return fd < 0 ? error_errno(err, root ? errno : ENOENT, "spec.source.folder.path: open %s", w->path) : fd;
}
