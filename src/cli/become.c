#include "cli/become.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MASK(capability) (1U << ((capability) % 32))

static bool may_drop(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    return syscall(SYS_capget, &head, data) == 0 && (data[CAP_SETPCAP / 32].effective & MASK(CAP_SETPCAP));
}

/* An ordinary user has none of them, and cannot drop what only a program with rights of its own would have. */
static int drop_bounding_set(bool needed, struct error **err)
{
    if (!may_drop())
        return needed
                   ? error_set(err, REASON_FORBIDDEN, "CAP_SETPCAP is missing: rights could not be given up for good")
                   : 0;
    for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
            return error_errno(err, errno, "drop capability %lu", i);
    return 0;
}

static int drop_capabilities(struct error **err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) < 0 ? error_errno(err, errno, "drop capabilities") : 0;
}

int become(uid_t id, struct error **err)
{
    bool another = id != geteuid();
    int parent_death = 0;

    /* A change of credentials clears it. */
    prctl(PR_GET_PDEATHSIG, &parent_death);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(err, errno, "no_new_privs");
    if (drop_bounding_set(another, err) < 0)
        return -1;
    if (another && (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0))
        return error_errno(err, errno, "become user %u", (unsigned)id);
    if (drop_capabilities(err) < 0)
        return -1;
    if (parent_death)
        prctl(PR_SET_PDEATHSIG, parent_death);
    return 0;
}
