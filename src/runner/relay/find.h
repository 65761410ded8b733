#pragma once

#include <sys/types.h>

/* A relay at its socket: nobody else can listen there, and the kernel tells who does. */
struct relay_process {
    pid_t pid; /* 0: nobody listens */
    int fd;    /* readable once it has ended; -1 */
};
struct relay_process relay_find(const char *socket, uid_t user);
