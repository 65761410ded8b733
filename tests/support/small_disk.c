#include "support/small_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

bool small_disk_mount(const char *folder, unsigned mebibytes)
{
    char options[32];

    snprintf(options, sizeof(options), "size=%um", mebibytes);
    return mount("small-disk", folder, "tmpfs", 0, options) == 0;
}

void small_disk_umount(const char *folder)
{
    umount(folder);
}

static void ballast(char out[static 256], const char *folder)
{
    snprintf(out, 256, "%s/ballast", folder);
}

void small_disk_fill(const char *folder)
{
    static char block[4096];
    char path[256];

    ballast(path, folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    memset(block, 'x', sizeof(block));
    while (write(fd, block, sizeof(block)) > 0)
        ;
    close(fd);
}

void small_disk_empty(const char *folder)
{
    char path[256];

    ballast(path, folder);
    unlink(path);
}
