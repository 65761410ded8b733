#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

/*
 * Whose process is at the other end of a connection to this host's own address. All users of a machine share its
 * addresses, the loopback one above all, and the kernel alone tells them apart (sock_diag(7)). The socket for asking is
 * made by whoever starts us: in our own network namespace there is nobody to be found.
 */
struct peers;
/* A netlink socket of the caller's network namespace; -1 where there is none to be had. */
int peers_socket(void);
/* Takes the socket. */
struct peers *peers_new(int fd);
void peers_free(struct peers *p);

struct peer {
    struct str address, own_address; /* the client's, and ours */
    uint16_t port, own_port;
};
/* (uid_t)-1: from another machine, or not to be told. From any thread, quick. */
uid_t peers_uid(struct peers *p, const struct peer *peer);
