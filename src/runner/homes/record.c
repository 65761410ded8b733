#include "runner/homes/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/beneath.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "runner/homes/private.h"

#define RECORD_MAX 4096
#define OWNERS "owners"

int homes_open_own(int parent, const char *name, struct error **err)
{
    _cleanup_close_ int own = open_private(parent, HOMES_OWN_FOLDER, err);
    return own < 0 ? -1 : open_private(own, name, err);
}

int homes_lock(int parent, struct error **err)
{
    _cleanup_close_ int own = open_private(parent, HOMES_OWN_FOLDER, err);
    _cleanup_close_ int fd = own < 0 ? -1 : openat(own, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (own < 0)
        return -1;
    if (fd < 0)
        return error_errno(err, errno, "open " HOMES_OWN_FOLDER "/lock");
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "lock " HOMES_OWN_FOLDER "/lock");
    return steal_fd(fd);
}

static char *path_in(int folder, const char *name)
{
    return xasprintf("/proc/self/fd/%d/%s", folder, name);
}

static int parse_record(const char *user, const char *text, size_t n, struct home_record *out, struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = json_parse((struct str){text, n}, NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *uid = json_str_at(root, "uid"), *since = json_str_at(root, "since");

    *out = (struct home_record){
        .seen = {(uint32_t)json_int_at(root, "hostId", 0), (uint32_t)json_int_at(root, "hostIds", 0)}};
    if (uid && strlen(uid) <= HOME_UID_MAX && since && timestamp_parse(str_from(since), &out->since_us) == 0) {
        memcpy(out->uid, uid, strlen(uid));
        return 1;
    }
    return error_set(err, REASON_FORBIDDEN,
                     HOMES_OWN_FOLDER "/" OWNERS "/%s beside the home cannot be read: without that file the home is "
                                      "that of the present user",
                     user);
}

int record_read(int parent, const char *user, struct home_record *out, struct error **err)
{
    _cleanup_close_ int owners = open_beneath(parent, HOMES_OWN_FOLDER "/" OWNERS, O_RDONLY | O_DIRECTORY, 0);
    size_t n;

    if (owners < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "open " HOMES_OWN_FOLDER "/" OWNERS);
    _cleanup_free_ char *path = path_in(owners, user);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    _cleanup_free_ char *text = read_file(path, RECORD_MAX, &n, err);
    return text ? parse_record(user, text, n, out, err) : error_wrap(err, "the record of the home of %s", user);
}

int record_write(int parent, const char *user, const struct home_record *r, struct error **err)
{
    _cleanup_close_ int owners = homes_open_own(parent, OWNERS, err);
    _cleanup_json_mut_ yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char since[TIMESTAMP_SIZE];
    size_t n;

    if (owners < 0)
        return -1;
    yyjson_mut_doc_set_root(doc, root);
    timestamp(since, r->since_us);
    json_mut_set_str(doc, root, "uid", r->uid);
    json_mut_set_str(doc, root, "since", since);
    if (r->seen.size) {
        json_mut_set_int(doc, root, "hostId", r->seen.first);
        json_mut_set_int(doc, root, "hostIds", r->seen.size);
    }
    _cleanup_free_ char *text = json_mut_write(root, &n), *path = path_in(owners, user);
    return write_file_atomic(path, (struct str){text, n}, 0600, err) < 0
               ? error_wrap(err, "the record of the home of %s", user)
               : 0;
}

int record_remove(int parent, const char *user, struct error **err)
{
    _cleanup_close_ int owners = homes_open_own(parent, OWNERS, err);

    if (owners < 0)
        return -1;
    if (unlinkat(owners, user, 0) < 0 && errno != ENOENT)
        return error_errno(err, errno, "remove the record of the home of %s", user);
    return 0;
}
