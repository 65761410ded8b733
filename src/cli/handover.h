#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

/*
 * Files for a folder that belongs to another user. That user may be taken over, and may have planted links, fifos and
 * folders wherever we are going to write; with root's rights each of them would be a way to any file of the machine. So
 * everything is read first, with our rights; then the process becomes that user for good, and only then writes.
 */
struct handover;

struct handover *handover_new(void);
void handover_free(struct handover *h);
static inline void cleanup_handoverp(struct handover **h)
{
    handover_free(*h);
}
#define _cleanup_handover_ _cleanup_(cleanup_handoverp)

/* `name` is below the folder, with at most one folder of its own in between or more ("pki/server.key"). `watched`: it
 * counts in what handover_write() returns. The content is copied. */
void handover_add(struct handover *h, const char *name, struct str content, mode_t mode, bool watched);
/* A file, or a folder's whole tree (links in it are left out), under that name. */
int handover_add_file(struct handover *h, const char *from, const char *name, mode_t mode, bool watched,
                      struct error **err) _must_check_;
int handover_add_tree(struct handover *h, const char *from, const char *name, struct error **err) _must_check_;

/* For a process of its own (apart.h), which is that user afterwards. Writes what is not there already as it should be;
 * what stands in the way goes. Returns 1 where something watched changed. */
int handover_write(const struct handover *h, const char *folder, uid_t id, struct error **err) _must_check_;
