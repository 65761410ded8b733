#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"

/*
 * What an environment has on the host besides its container: the directory of its socket (a tmpfs, nosymfollow, as
 * links may be put there from inside), as root a bind mount of its home at a path that nobody can exchange under the
 * engine's eyes, read-only copies of the mounts at and below what all share, and room for its log.
 * Names are hashes of the instance's id: a socket's path holds 107 bytes.
 */
#define PLACE_NAME_SIZE 17
void place_name(char out[static PLACE_NAME_SIZE], const char *instance);

struct place_options {
    const char *root; /* <runtime>/env */
    const char *name;
    uid_t owner;
    gid_t gateway;
};

/* Makes `root` itself: 0710, for the gateway to go through. */
int place_prepare_root(const char *root, gid_t gateway, struct error **err) _must_check_;
/* 1: made just now; 0: was there, as it should be. */
int place_ensure_socket(const struct place_options *o, struct error **err) _must_check_;
/* Whether it is there, mounted as it should be. */
bool place_has_socket(const char *root, const char *name);
/* The same at <root>/<name>.ports, for sockets that the runner makes: nobody else may write there, and no container
 * gets it. */
int place_ensure_ports(const struct place_options *o, struct error **err) _must_check_;
bool place_has_ports(const char *root, const char *name);
char *place_ports_path(struct arena *a, const char *root, const char *name);
/* Whether that folder is some environment's home now. */
bool place_shows_home(const char *root, int home);
/* Puts a bind mount of the folder behind `home` at <root>/<name>.home. */
int place_ensure_home(const char *root, const char *name, int home, struct error **err) _must_check_;
char *place_home_path(struct arena *a, const char *root, const char *name);
/* Puts what is mounted at `source` and below it, as it is now, at <root>/<name>.<what>: read-only, nosuid, nodev and
 * noexec all the way down, and nothing that is mounted there later arrives. */
enum place_shared { PLACE_DATA_SET, PLACE_COURSE, PLACE_WHEELS };
int place_ensure_shared(const char *root, const char *name, enum place_shared what, const char *source,
                        struct error **err) _must_check_;
/* <root>/<name>.<what> */
char *place_shared_path(struct arena *a, const char *root, const char *name, enum place_shared what);
/* A small piece of memory at <root>/<name>.log for what the environment prints, so that a flood costs no disk. */
int place_ensure_log(const char *root, const char *name, struct error **err) _must_check_;
char *place_log_path(struct arena *a, const char *root, const char *name);
int place_remove_socket(const char *root, const char *name, struct error **err) _must_check_;
/* Takes all away; 0 too where nothing was there. End the container first. */
int place_remove(const char *root, const char *name, struct error **err) _must_check_;
/* Names found in `root`, each once, without ".home" and the like. The caller frees each and the list. */
size_t place_list(const char *root, char ***out);
