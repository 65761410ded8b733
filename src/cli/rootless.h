#pragma once

#include "base/error.h"

/*
 * Without root one may mount only inside a user namespace. Podman keeps one for each user, with a mount namespace in
 * which it looks for the folders that containers get; both last as long as its pause process or a container does, so
 * that a later runner finds what an earlier one mounted. Runner and gateway go there, the server stays outside: the
 * runner mounts each environment's socket folder against links, and nginx, in the same mount namespace,
 * can see nothing but what is mounted. Outside, all of them are the user who started us.
 */
struct rootless;

/* NULL: we are root, or it is not to be had; then a warning has said why and no environment can start. */
struct rootless *rootless_find(void);
void rootless_free(struct rootless *r);
/* The calling process, of one thread, becomes root of that user namespace. Nothing where `r` is NULL. */
int rootless_enter(const struct rootless *r, struct error **err) _must_check_;
/* The same mount namespace, but as oneself and without any capability there once another program is executed. */
int rootless_enter_as_self(const struct rootless *r, struct error **err) _must_check_;
/* A user namespace in which one is oneself, with other namespaces (CLONE_NEW…) that belong to it. All capabilities
 * there, until they are given up. */
int own_user_namespace(int others, struct error **err) _must_check_;
