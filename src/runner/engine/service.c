#include "runner/engine/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"

/*
 * A `podman system service` of our own, where no engine answers. It gets a containers.conf of its own
 * (deploy/containers.conf.in says why each line), so that the host's files stay as they are. It outlives a killed
 * runner for a moment, in which the next one finds it by its socket; containers outlive both.
 */
#define CGROUP2_MAGIC 0x63677270
#define PODMAN_WANTS 1048576 /* its own default for both limits */
#define WAIT_STEP_MS 50
#define WAIT_STEPS 300
#define END_STEPS 100
/* The stream of events keeps it: it ends by itself so many seconds after a runner that was killed, at whatever moment.
 */
#define SERVICE_IDLE "--time=15"

extern char **environ;

static bool unified_cgroups(void)
{
    struct statfs fs;
    return statfs("/sys/fs/cgroup", &fs) == 0 && (unsigned long)fs.f_type == CGROUP2_MAGIC;
}

static bool systemd_is_init(void)
{
    _cleanup_free_ char *name = read_file("/proc/1/comm", 64, NULL, NULL);
    return name && strcmp(name, "systemd\n") == 0;
}

/* Podman's own default is a limit of processes, and without the controller each container fails for it. */
static bool lacks_pids_controller(void)
{
    _cleanup_free_ char *text = read_file("/sys/fs/cgroup/cgroup.controllers", 4096, NULL, NULL);
    struct str rest = str_trim(str_from(text)), name;

    while (str_split(&rest, ' ', &name))
        if (str_is(name, "pids"))
            return false;
    return text != NULL;
}

/* Podman lowers its own limit of processes to this at start (its engines' default), whatever it was given. */
static rlim_t pid_max(void)
{
    _cleanup_free_ char *text = read_file("/proc/sys/kernel/pid_max", 64, NULL, NULL);
    unsigned long long value;

    return text && str_to_u64(str_trim(str_from(text)), UINT32_MAX, &value) == 0 ? (rlim_t)value : RLIM_INFINITY;
}

static void add_limit(struct buffer *b, const char *name, int resource, rlim_t most)
{
    struct rlimit limit;

    /* A smaller hard limit can only be raised with CAP_SYS_RESOURCE, and then each container would fail. */
    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0 || limit.rlim_max == RLIM_INFINITY ||
        limit.rlim_max >= PODMAN_WANTS)
        return;
    unsigned long long value = limit.rlim_max < most ? limit.rlim_max : most;
    buffer_printf(b, "%s\"%s=%llu:%llu\"", b->n ? ", " : "", name, value, value);
}

char *engine_service_conf(void)
{
    struct buffer b = BUFFER_MAX(4096);
    _cleanup_buffer_ struct buffer limits = BUFFER_MAX(256);
    bool unified = unified_cgroups();

    add_limit(&limits, "nofile", RLIMIT_NOFILE, RLIM_INFINITY);
    add_limit(&limits, "nproc", RLIMIT_NPROC, pid_max());
    buffer_puts(&b, "[containers]\n");
    /* Which machines the host knows by name, and its own address, are nobody's business in a container. */
    buffer_puts(&b, "base_hosts_file = \"none\"\nhost_containers_internal_ip = \"127.0.0.1\"\n");
    if (limits.n)
        buffer_printf(&b, "default_ulimits = [%s]\n", limits.p);
    if (unified && lacks_pids_controller())
        buffer_puts(&b, "pids_limit = 0\n");
    buffer_puts(&b, "\n[engine]\n");
    if (!unified || !systemd_is_init())
        buffer_puts(&b, "cgroup_manager = \"cgroupfs\"\n");
    if (!path_exists("/run/systemd/journal/socket"))
        buffer_puts(&b, "events_logger = \"file\"\n");
    if (!unified)
        buffer_puts(&b, "runtime = \"runc\"\n");
    return buffer_steal(&b);
}

/* With CONTAINER_HOST or CONTAINER_CONNECTION it would be a client of another engine. */
static bool is_dropped(const char *variable)
{
    static const char *const names[] = {"CONTAINERS_CONF=", "CONTAINER_HOST=", "CONTAINER_CONNECTION="};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (starts_with(variable, names[i]))
            return true;
    return false;
}

static char **variables_with(struct arena *a, const char *conf)
{
    size_t n = 0, used = 0;

    while (environ[n])
        n++;
    char **out = arena_alloc(a, (n + 2) * sizeof(*out));
    for (size_t i = 0; i < n; i++)
        if (!is_dropped(environ[i]))
            out[used++] = environ[i];
    out[used] = arena_printf(a, "CONTAINERS_CONF=%s", conf);
    return out;
}

/* In a session of its own: Ctrl-C in a terminal is for the runner, which ends its service after the last call. */
static int spawn_service(struct engine *e, struct arena *a, const char *socket, const char *conf, struct error **err)
{
    char *argv[] = {arena_strdup(a, "podman"),
                    arena_strdup(a, "system"),
                    arena_strdup(a, "service"),
                    arena_strdup(a, SERVICE_IDLE),
                    arena_printf(a, "unix://%s", socket),
                    NULL};
    const char *log = arena_printf(a, "%s/engine.log", e->directory);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    /* Its helpers leave files in their working directory. */
    posix_spawn_file_actions_addchdir_np(&files, e->directory);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    char **variables = variables_with(a, conf);
    int rc = posix_spawnp(&e->service, "podman", &files, &attr, argv, variables);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    if (rc == ENOENT)
        return error_set(
            err, REASON_SERVICE_UNAVAILABLE,
            "no container engine answers and podman is not installed; install podman or name an engineSocket");
    if (rc != 0)
        return error_errno(err, rc, "start podman system service");
    return 0;
}

bool engine_service_alive(struct engine *e)
{
    if (e->service == 0)
        return false;
    if (waitpid(e->service, NULL, WNOHANG) == 0)
        return true;
    e->service = 0;
    return false;
}

static int wait_for_socket(struct engine *e, const char *socket, const char *log, struct error **err)
{
    for (unsigned i = 0; i < WAIT_STEPS; i++) {
        if (path_exists(socket))
            return 0;
        if (stop_wait(e->stop_fd, WAIT_STEP_MS))
            return error_set(err, REASON_SERVICE_UNAVAILABLE, "stopped");
        if (!engine_service_alive(e))
            return error_set(err, REASON_SERVICE_UNAVAILABLE, "podman system service ended at once; see %s", log);
    }
    return error_set(err, REASON_TIMEOUT, "podman system service does not answer; see %s", log);
}

int engine_service_start(struct engine *e, const char *socket, struct error **err)
{
    _cleanup_arena_ struct arena *a = arena_new();
    const char *conf = arena_printf(a, "%s/containers.conf", e->directory);
    const char *log = arena_printf(a, "%s/engine.log", e->directory);
    _cleanup_free_ char *text = engine_service_conf();

    if (engine_service_alive(e))
        return wait_for_socket(e, socket, log, err);
    if (make_directory(e->directory, 0700, err) < 0)
        return -1;
    if (write_file_atomic(conf, str_from(text), 0600, err) < 0)
        return -1;
    unlink(socket);
    if (spawn_service(e, a, socket, conf, err) < 0)
        return -1;
    _cleanup_free_ char *pid = xasprintf("%d\n", (int)e->service);
    if (write_file_atomic(arena_printf(a, "%s/engine.pid", e->directory), str_from(pid), 0600, err) < 0)
        return -1;
    if (wait_for_socket(e, socket, log, err) < 0)
        return -1;
    log_info("started podman system service on %s; its log is %s", socket, log);
    return 0;
}

/* One that an earlier, killed runner left: the number alone may be another process's by now. */
static pid_t left_over(const struct engine *e, struct arena *a)
{
    unsigned long long pid;
    size_t n;
    _cleanup_free_ char *text = read_file(arena_printf(a, "%s/engine.pid", e->directory), 32, NULL, NULL);

    if (text == NULL || str_to_u64(str_trim(str_from(text)), 1u << 30, &pid) < 0 || pid < 2)
        return 0;
    _cleanup_free_ char *line = read_file(arena_printf(a, "/proc/%llu/cmdline", pid), 4096, &n, NULL);
    const char *wanted = arena_printf(a, "unix://%s/engine.sock", e->directory);
    return line && memmem(line, n, wanted, strlen(wanted) + 1) ? (pid_t)pid : 0;
}

void engine_service_stop(struct engine *e)
{
    _cleanup_arena_ struct arena *a = arena_new();
    pid_t pid = e->service ? e->service : left_over(e, a);

    if (pid == 0)
        return;
    kill(pid, SIGTERM);
    for (unsigned i = 0; i < END_STEPS && engine_service_alive(e); i++)
        usleep(WAIT_STEP_MS * 1000);
    if (engine_service_alive(e)) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        e->service = 0;
    }
    unlink(arena_printf(a, "%s/engine.pid", e->directory));
}
