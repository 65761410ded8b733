#include "unpack/entry.h"

#include "base/str.h"

static const char *or_nothing(const char *s)
{
    return s ? s : "";
}

static int check_kind(struct archive_entry *e, struct error **err)
{
    switch (archive_entry_filetype(e)) {
    case AE_IFREG:
    case AE_IFDIR:
        return 0;
    case AE_IFLNK:
        return error_set(err, REASON_BAD_REQUEST,
                         "is a link (to \"%s\"): pack what it leads to instead (tar -h, zip without -y)",
                         or_nothing(archive_entry_symlink(e)));
    case AE_IFCHR:
    case AE_IFBLK:
        return error_set(err, REASON_BAD_REQUEST, "is a device, and no file");
    case AE_IFIFO:
    case AE_IFSOCK:
        return error_set(err, REASON_BAD_REQUEST, "is a pipe or socket, and no file");
    default:
        return error_set(err, REASON_BAD_REQUEST, "is neither file nor folder");
    }
}

int entry_check(struct archive_entry *e, struct error **err)
{
    const char *hard = archive_entry_hardlink(e);

    if (hard)
        return error_set(err, REASON_BAD_REQUEST,
                         "is a hard link (to \"%s\"): pack the file instead (tar --hard-dereference)", hard);
    if (archive_entry_is_encrypted(e))
        return error_set(err, REASON_BAD_REQUEST, "is encrypted");
    return check_kind(e, err);
}

mode_t entry_mode(struct archive_entry *e)
{
    return archive_entry_perm(e) & 0111 ? 0755 : 0644;
}
