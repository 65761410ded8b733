/* Whose folders are whose, and one set of processes for each. */
#include "cli/layout.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"

#define SERVER 61001
#define GATEWAY 61002

struct place {
    char base[40];
    struct config config;
    struct layout *layout;
};

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));

    strcpy(p->base, "/tmp/open-hydra-layout-XXXXXX");
    if (mkdtemp(p->base) == NULL)
        return -1;
    p->config = (struct config){.data = xasprintf("%s/data", p->base),
                                .runtime = xasprintf("%s/run", p->base),
                                .dataset_path = xasprintf("%s/data/public-dataset", p->base),
                                .course_path = xasprintf("%s/courses", p->base),
                                .server_id = SERVER,
                                .gateway_id = GATEWAY};
    p->layout = layout_new(&p->config);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    _cleanup_free_ char *command = xasprintf("rm -rf -- %s", p->base);
    int rc = system(command);

    layout_free(p->layout);
    free(p->config.data);
    free(p->config.runtime);
    free(p->config.dataset_path);
    free(p->config.course_path);
    free(p);
    return rc;
}

static void assert_folder(const struct place *p, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", p->base, name);
    bool root = geteuid() == 0;
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    if ((st.st_mode & 07777) != mode)
        fail_msg("%s has mode %o", name, st.st_mode & 07777);
    assert_int_equal(st.st_uid, root ? uid : geteuid());
    assert_int_equal(st.st_gid, root ? gid : getegid());
}

/* The table of layout.h. */
static void folders_and_their_owners(void **state)
{
    struct place *p = *state;
    mode_t before = umask(077);

    static const char *const opened[] = {"0777", "g+s,+t", ""};
    for (size_t i = 0; i < ARRAY_SIZE(opened); i++) {
        assert_int_equal(layout_make(p->layout, &p->config, NULL), 0);
        assert_folder(p, "data", 0711, 0, 0);
        assert_folder(p, "data/server", 0700, SERVER, SERVER);
        assert_folder(p, "data/pki", 0755, 0, 0);
        assert_folder(p, "data/gateway", 0700, GATEWAY, GATEWAY);
        assert_folder(p, "run", 0711, 0, 0);
        assert_folder(p, "run/gateway", 0710, 0, GATEWAY);
        assert_folder(p, "run/nginx", 0700, GATEWAY, GATEWAY);
        assert_folder(p, "run/runner", 0700, 0, 0);
        assert_folder(p, "run/server", 0710, 0, SERVER);
        assert_folder(p, "run/env", 0710, 0, GATEWAY);
        assert_folder(p, "data/public-dataset", 0755, SERVER, SERVER);
        assert_folder(p, "data/public-dataset/.open-hydra", 0700, SERVER, SERVER);
        /* Again, after somebody has opened them all and taken them. */
        _cleanup_free_ char *command = xasprintf("chmod %s %s/* %s/*/*; chown 0:0 %s/* %s/*/* 2>/dev/null", opened[i],
                                                 p->base, p->base, p->base, p->base);
        assert_true(system(command) >= 0);
    }
    umask(before);
}

/* It stays theirs: the server may add to it, and the sticky bit keeps from it what it did not add. */
static void an_administrators_folder(void **state)
{
    struct place *p = *state;
    struct stat st;

    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(p->config.course_path, 0700), 0);
    assert_int_equal(chmod(p->config.course_path, 0755), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(layout_make(p->layout, &p->config, NULL), 0);
        assert_folder(p, "courses", 01775, 0, SERVER);
        assert_folder(p, "courses/.open-hydra", 0700, SERVER, SERVER);
    }
    /* Another group's is left alone. */
    assert_int_equal(chown(p->config.course_path, 0, 61003), 0);
    assert_int_equal(chmod(p->config.course_path, 02775), 0);
    assert_int_equal(layout_make(p->layout, &p->config, NULL), 0);
    assert_folder(p, "courses", 02775, 0, 61003);
    /* Through no link. */
    _cleanup_free_ char *own = xasprintf("%s/.open-hydra", p->config.course_path);
    assert_int_equal(chown(p->config.course_path, 0, 0), 0);
    assert_int_equal(rmdir(own), 0);
    assert_int_equal(symlink("/etc", own), 0);
    assert_int_equal(layout_make(p->layout, &p->config, NULL), 0);
    assert_int_equal(stat("/etc", &st), 0);
    assert_int_equal(st.st_uid, 0);
}

static void a_file_in_a_folders_place_is_an_error(void **state)
{
    struct place *p = *state;
    struct error *err = NULL;
    _cleanup_free_ char *file = xasprintf("%s/server", p->config.data);

    assert_int_equal(make_directory(p->config.data, 0711, NULL), 0);
    assert_int_equal(write_file_atomic(file, STR("x"), 0600, NULL), 0);
    assert_int_equal(layout_make(p->layout, &p->config, &err), -1);
    assert_non_null(strstr(err->message, file));
    error_free(err);
}

static int lock_elsewhere(const struct layout *l, bool data)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct error *err = NULL;
        int fd = data ? layout_lock_data(l, &err) : layout_lock(l, &err);
        char expected[64];
        snprintf(expected, sizeof(expected), "(process %d)", (int)getppid());
        _exit(fd >= 0 ? 0 : strstr(err->message, "running already") && strstr(err->message, expected) ? 1 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void one_set_of_processes(void **state)
{
    struct place *p = *state;

    assert_int_equal(layout_make(p->layout, &p->config, NULL), 0);
    for (int data = 0; data < 2; data++) {
        int fd = data ? layout_lock_data(p->layout, NULL) : layout_lock(p->layout, NULL);
        assert_true(fd >= 0);
        assert_int_equal(lock_elsewhere(p->layout, data), 1);
        /* The two are two. */
        assert_int_equal(lock_elsewhere(p->layout, !data), 0);
        close(fd);
        assert_int_equal(lock_elsewhere(p->layout, data), 0);
    }
}

/* Its number is that of nobody any more, but a child of it is about to end. */
static void a_lock_that_is_about_to_be_free(void **state)
{
    struct place *p = *state;

    assert_int_equal(layout_make(p->layout, &p->config, NULL), 0);
    pid_t holder = fork();
    if (holder == 0) {
        int fd = layout_lock(p->layout, NULL);
        if (fork() == 0) {
            usleep(300000);
            _exit(fd < 0);
        }
        _exit(fd < 0);
    }
    int status;
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_int_equal(WEXITSTATUS(status), 0);
    int fd = layout_lock(p->layout, NULL);
    assert_true(fd >= 0);
    close(fd);
}

static void sockets_are_their_clients(void **state)
{
    struct place *p = *state;
    int fds[SOCKETS];
    const struct {
        const char *path;
        gid_t gid;
    } expected[SOCKETS] = {[SOCKET_GATEWAY] = {p->layout->gateway_socket, GATEWAY},
                           [SOCKET_AUTH] = {p->layout->auth_socket, GATEWAY},
                           [SOCKET_RUNNER] = {p->layout->runner_socket, 0},
                           [SOCKET_LOGS] = {p->layout->logs_socket, SERVER}};

    assert_int_equal(layout_make(p->layout, &p->config, NULL), 0);
    assert_int_equal(layout_listen(p->layout, fds, NULL), 0);
    for (size_t i = 0; i < SOCKETS; i++) {
        struct stat st;
        assert_int_equal(stat(expected[i].path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0660);
        assert_int_equal(st.st_uid, geteuid());
        assert_int_equal(st.st_gid, geteuid() == 0 ? expected[i].gid : getegid());
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        if (geteuid() == 0)
            assert_int_equal(chown(expected[i].path, 0, 0), 0);
    }
    assert_int_equal(layout_give_sockets(p->layout, fds, NULL), 0);
    for (size_t i = 0; i < SOCKETS; i++) {
        struct stat st;
        assert_int_equal(stat(expected[i].path, &st), 0);
        assert_int_equal(st.st_gid, geteuid() == 0 ? expected[i].gid : getegid());
        close(fds[i]);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(folders_and_their_owners),
        T(an_administrators_folder),
        T(a_file_in_a_folders_place_is_an_error),
        T(one_set_of_processes),      T(a_lock_that_is_about_to_be_free),
        T(sockets_are_their_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
