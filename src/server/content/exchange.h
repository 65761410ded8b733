#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "server/content/shelf.h"

/*
 * What students see is BASE/NAME; it is replaced as a whole, by one exchange of two folders. Killed at any point there
 * is the old content or the new. Whoever has a file of the old one open keeps it.
 *
 * In BASE/.open-hydra (shelf.h):
 *
 *     new/ID                    being filled
 *     versions/NAME/present.N   an empty file: BASE/NAME is ours, and is number N
 *     versions/NAME/N           a former content that is kept
 *     versions/NAME/next.N.P.I  on its way into place: number N, in exchange for number P (0: none). I is its inode: a
 *                               folder of that name with another inode is what came back, number P
 *     versions/NAME/back.N.P.I  the same of a kept version that becomes the present one again
 *
 * One thread at a time for each shelf. Numbers are the caller's, from 1, and never come twice for one NAME. NAME has no
 * slash in it, and no dot at its begin.
 */

/* new/ID, empty, in which to unpack: its descriptor. What was there under that id goes to the trash. */
int exchange_stage(const struct shelf *s, const char *id, struct error **err) _must_check_;
/* new/ID becomes BASE/NAME (or goes to the trash where that fails), all of it on disk first. The former content
 * becomes a kept version; of these only the `keep` newest stay. Refused (AlreadyExists) where BASE/NAME is there and
 * not ours. */
int exchange_publish(const struct shelf *s, const char *id, const char *name, uint64_t version, unsigned keep,
                     struct error **err) _must_check_;
/* A kept version becomes the present one, which is kept in its place. NotFound where it is not kept. */
int exchange_roll_back(const struct shelf *s, const char *name, uint64_t version, struct error **err) _must_check_;
/* Content and versions go to the trash; what is not there is fine, and what is not ours stays. */
int exchange_remove(const struct shelf *s, const char *name, struct error **err) _must_check_;
/* BASE/NAME is there, and not ours. */
bool exchange_is_foreign(const struct shelf *s, const char *name);
/* Numbers of kept versions, oldest first; returns how many (of more than `max` the newest); `present`: 0 where none. */
size_t exchange_versions(const struct shelf *s, const char *name, uint64_t *out, size_t max, uint64_t *present);

/* At a start: finishes or takes back what an interruption left, and puts into the trash what is in new/, but those that
 * `keep` says are still wanted (NULL: none). Quick, whatever there is to remove. */
int exchange_recover(const struct shelf *s, bool (*keep)(void *arg, const char *id), void *arg, struct error **err)
    _must_check_;
