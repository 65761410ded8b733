/* What environments lack: read from the kernel's files, noted, and said for a while. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "runner/engine/cgroup.h"
#include "runner/engine/shortage.h"
#include "runner/environment/shortage.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SECOND INT64_C(1000000)

/* --- the kernel's files --- */

static void finds_the_group_of_a_container(void **state)
{
    static const struct {
        const char *groups, *controller, *folder;
    } rows[] = {
        {"4:memory:/libpod_parent/libpod-" ID "\n0::/\n", "memory", "/sys/fs/cgroup/memory/libpod_parent/libpod-" ID},
        {"9:pids:/docker/" ID "\n4:memory:/docker/" ID "\n", "pids", "/sys/fs/cgroup/pids/docker/" ID},
        {"3:cpu,cpuacct:/a-" ID "/sub\n", "cpuacct", "/sys/fs/cgroup/cpu,cpuacct/a-" ID},
        {"0::/machine.slice/libpod-" ID ".scope/container\n", "memory",
         "/sys/fs/cgroup/machine.slice/libpod-" ID ".scope"},
        {"0::/machine.slice/libpod-" ID ".scope", "pids", "/sys/fs/cgroup/machine.slice/libpod-" ID ".scope"},
        {"4:memory:/\n0::/libpod-conmon-" ID ".scope\n", "memory", "/sys/fs/cgroup/libpod-conmon-" ID ".scope"},
        {"4:memory:/user.slice\n0::/user.slice\n", "memory", NULL},
        {"4:memory:/../libpod-" ID "\n", "memory", NULL},
        {"9:pids:/docker/" ID "\n", "memory", NULL},
        {"nonsense", "memory", NULL},
        {"", "memory", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *found = cgroup_folder(rows[i].groups, rows[i].controller, ID);
        if (!same_text(found, rows[i].folder) && !streq(found, rows[i].folder))
            fail_msg("%s: %s", rows[i].groups, found ? found : "(none)");
    }
}

static char folder[64];

static char *in_folder(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void write_text(const char *name, const char *text)
{
    _cleanup_free_ char *path = in_folder(name), *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));

    assert_int_equal(make_directory(parent, 0755, NULL), 0);
    assert_int_equal(write_file_atomic(path, str_from(text), 0644, NULL), 0);
}

static int begin(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/runner-shortage-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int finish(void **state)
{
    _cleanup_free_ char *command = xasprintf("rm -rf --one-file-system %s", folder);
    return system(command);
}

static void reads_numbers_of_the_kernel(void **state)
{
    write_text("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    write_text("memory.events", "low 0\noom 9\noom_kill 18446744073709551615\n");
    write_text("memory.current", "4096\n");
    write_text("odd", "oom_kill\noom_kill x\nmax -1\n\n");

    assert_int_equal(cgroup_number(folder, "memory.oom_control", "oom_kill"), 3);
    assert_true(cgroup_number(folder, "memory.events", "oom_kill") == UINT64_MAX);
    assert_int_equal(cgroup_number(folder, "memory.events", "oom"), 9);
    assert_int_equal(cgroup_number(folder, "memory.events", "max"), 0);
    assert_int_equal(cgroup_number(folder, "memory.current", NULL), 4096);
    assert_int_equal(cgroup_number(folder, "odd", "oom_kill"), 0);
    assert_int_equal(cgroup_number(folder, "odd", "max"), 0);
    assert_int_equal(cgroup_number(folder, "odd", NULL), 0);
    assert_int_equal(cgroup_number(folder, "none", NULL), 0);
}

/* --- one that runs --- */

static unsigned changes;

static void changed(void *arg, const char *device)
{
    assert_string_equal(device, "ada");
    changes++;
}

static void fill(const char *path, size_t bytes)
{
    static const char zeros[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    for (size_t n = 0; n < bytes; n += sizeof(zeros))
        if (write(fd, zeros, sizeof(zeros)) != sizeof(zeros))
            break;
    close(fd);
}

/* Full at its end, and well again only with some room; what is another's, or over, is not looked at. */
static void sees_what_is_full(void **state)
{
    _cleanup_free_ char *tmp = in_folder("77/root/tmp"), *file = in_folder("77/root/tmp/file");
    struct shortages *s = shortages_new(-1);
    struct runtime_shortage seen;

    if (geteuid() != 0) {
        print_message("needs root: skipped\n");
        shortages_free(s);
        return;
    }
    shortages_listen(s, &(struct runtime_listener){.changed = changed});
    changes = 0;
    write_text("77/cgroup", "0::/machine.slice/libpod-" ID ".scope\n");
    assert_int_equal(make_directory(tmp, 0755, NULL), 0);
    assert_int_equal(mount("tmpfs", tmp, "tmpfs", 0, "size=1m"), 0);
    shortages_watch(s, "i", "ada", ID, 77);
    assert_false(shortages_of(s, "i", &seen));
    shortages_round(s, folder);
    assert_true(shortages_of(s, "i", &seen) && seen.full == NULL && changes == 0);

    fill(file, 2 << 20);
    shortages_round(s, folder);
    assert_true(shortages_of(s, "i", &seen));
    assert_string_equal(seen.full, "/tmp");
    assert_int_equal(changes, 1);
    shortages_round(s, folder);
    assert_int_equal(changes, 1);

    fill(file, (1 << 20) - (40 << 10)); /* a twenty-fifth is free */
    shortages_round(s, folder);
    assert_true(shortages_of(s, "i", &seen) && seen.full && changes == 1);
    fill(file, 1 << 19);
    shortages_round(s, folder);
    assert_true(shortages_of(s, "i", &seen) && seen.full == NULL && changes == 2);

    fill(file, 2 << 20);
    write_text("77/cgroup", "0::/user.slice\n"); /* that number is another's by now */
    shortages_round(s, folder);
    assert_int_equal(changes, 2);
    shortages_forget(s, "i");
    assert_false(shortages_of(s, "i", &seen));
    assert_int_equal(umount2(tmp, MNT_DETACH), 0);
    shortages_free(s);
}

/* --- noted, and said --- */

static struct runtime_shortage lacks;
static bool is_known;

static bool shortage(struct runtime *r, const char *id, struct runtime_shortage *out)
{
    *out = lacks;
    return is_known;
}

static const struct runtime_ops ops = {.shortage = shortage};
static struct config config = {.default_ram_mib = 512, .max_ram_mib = 1024};
static struct runtime runtime = {&ops};
static struct environments all = {.config = &config, .runtime = &runtime};
static char name[] = "ada", instance[] = "u1";

static yyjson_doc *device(const char *conditions)
{
    _cleanup_free_ char *text =
        xasprintf("{\"spec\":{\"deviceRam\":\"300\"},\"status\":{\"conditions\":[%s]}}", conditions);
    yyjson_doc *doc = json_parse(str_from(text), NULL);

    assert_non_null(doc);
    return doc;
}

static void note(struct environment *e, const char *conditions, int64_t now)
{
    _cleanup_json_ yyjson_doc *doc = device(conditions);
    environment_note_shortage(&all, e, yyjson_doc_get_root(doc), now);
}

/* «True KilledForMemory», or nothing. */
static char *said(const struct environment *e, enum shortage what, const char *conditions, int64_t now)
{
    _cleanup_json_ yyjson_doc *doc = device(conditions);
    _cleanup_arena_ struct arena *a = arena_new();
    struct shortage_said s;

    if (!environment_short_of(&all, e, what, yyjson_doc_get_root(doc), now, a, &s))
        return xstrdup("");
    return xasprintf("%s %s %s: %s", s.type, s.holds ? "True" : "False", s.reason, s.message ? s.message : "");
}

static void assert_says(const struct environment *e, enum shortage what, const char *conditions, int64_t now,
                        const char *begin_, const char *in_message)
{
    _cleanup_free_ char *text = said(e, what, conditions, now);

    if (*begin_ == '\0' ? *text != '\0' : !starts_with(text, begin_) || strstr(text, in_message) == NULL)
        fail_msg("\"%s\" rather than \"%s\"", text, begin_);
}

static void says_it_for_a_while(void **state)
{
    struct environment e = {.name = name, .instance = instance, .processes = 99};
    int64_t now = INT64_C(1800000000) * SECOND, later = now + limits.shortage_seconds * SECOND;

    environment_count_anew(&e);
    lacks = (struct runtime_shortage){0};
    is_known = true;
    note(&e, "", now);
    assert_false(e.dirty);
    for (size_t i = 0; i < SHORTAGES; i++)
        assert_says(&e, (enum shortage)i, "", now, "", "");

    lacks = (struct runtime_shortage){.memory_kills = 1, .memory_bytes = 70 << 20, .refused_processes = 4};
    note(&e, "", now);
    assert_true(e.dirty);
    assert_says(&e, SHORTAGE_MEMORY, "", now, "OutOfMemory True KilledForMemory: at 2027-01-15T08:00:00Z",
                "all 300 MiB of the environment's memory were in use (70 MiB afterwards)");
    assert_says(&e, SHORTAGE_PROCESSES, "", now, "OutOfProcesses True ProcessesRefused", "(99)");
    assert_says(&e, SHORTAGE_MEMORY, "", later - 1, "OutOfMemory True", "");
    assert_says(&e, SHORTAGE_MEMORY, "", later, "OutOfMemory False NotLately: it was so at 2027-01-15T08:00:00Z", "");

    /* Again and again it is written once a minute. */
    e.dirty = false;
    lacks.memory_kills = 2;
    note(&e, "", now + 59 * SECOND);
    assert_false(e.dirty);
    lacks.memory_kills = 3;
    note(&e, "", now + 60 * SECOND);
    assert_true(e.dirty);
    assert_says(&e, SHORTAGE_MEMORY, "", later, "OutOfMemory True KilledForMemory: at 2027-01-15T08:01:00Z", "");

    /* Another container begins to count at 0, and what was is not forgotten. */
    environment_count_anew(&e);
    lacks = (struct runtime_shortage){0};
    note(&e, "", later);
    assert_says(&e, SHORTAGE_MEMORY, "", later, "OutOfMemory True", "");
    lacks.memory_kills = 1;
    note(&e, "", later);
    assert_says(&e, SHORTAGE_MEMORY, "", later + 60 * SECOND,
                "OutOfMemory True KilledForMemory: at 2027-01-15T08:15:00Z", "");
}

static void says_that_all_of_it_was_ended(void **state)
{
    struct environment e = {.name = name, .instance = instance};
    int64_t now = INT64_C(1800000000) * SECOND;

    environment_note_killed(&e, now);
    assert_true(e.dirty);
    assert_says(&e, SHORTAGE_MEMORY, "", now, "OutOfMemory True KilledForMemory", "in use; files");
}

#define MEMORY(status, since)                                                                                          \
    "{\"type\":\"OutOfMemory\",\"status\":\"" status "\",\"lastTransitionTime\":\"" since "\"}"

/* What was counted before this runner came: said by the one before it, or by nobody. */
static void takes_over_what_was_said(void **state)
{
    static const struct {
        const char *conditions, *says;
    } rows[] = {
        {"", "OutOfMemory True KilledForMemory: at 2027-01-15T08:00:00Z"},
        {MEMORY("True", "2027-01-15T07:59:00Z"), "OutOfMemory True KilledForMemory: at 2027-01-15T07:59:00Z"},
        {MEMORY("True", "2027-01-15T07:00:00Z"), "OutOfMemory False NotLately: it was so at 2027-01-15T07:00:00Z"},
        {MEMORY("False", "2027-01-15T07:59:00Z"), ""},
    };
    int64_t now = INT64_C(1800000000) * SECOND;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct environment e = {.name = name, .instance = instance};
        lacks = (struct runtime_shortage){.memory_kills = 5};
        is_known = false;
        note(&e, rows[i].conditions, now);
        assert_says(&e, SHORTAGE_MEMORY, rows[i].conditions, now, "", "");
        is_known = true;
        note(&e, rows[i].conditions, now);
        assert_says(&e, SHORTAGE_MEMORY, rows[i].conditions, now, rows[i].says, "");
        lacks.memory_kills = 6;
        note(&e, rows[i].conditions, now + 120 * SECOND);
        assert_says(&e, SHORTAGE_MEMORY, rows[i].conditions, now + 120 * SECOND,
                    "OutOfMemory True KilledForMemory: at 2027-01-15T08:02:00Z", "");
    }
}

static void says_what_is_full(void **state)
{
    static const char before[] = "{\"type\":\"OutOfSpace\",\"status\":\"True\"}";
    struct environment e = {.name = name, .instance = instance, .container = CONTAINER_RUNNING};
    int64_t now = INT64_C(1800000000) * SECOND;

    environment_count_anew(&e);
    is_known = true;
    lacks = (struct runtime_shortage){.full = "/tmp"};
    note(&e, "", now);
    assert_true(e.dirty);
    assert_says(&e, SHORTAGE_ROOM, "", now, "OutOfSpace True NoSpaceLeft: /tmp is full", "");
    e.container = CONTAINER_ABSENT;
    assert_says(&e, SHORTAGE_ROOM, before, now, "OutOfSpace False SpaceLeft", "");
    e.container = CONTAINER_RUNNING;
    lacks.full = NULL;
    note(&e, before, now);
    assert_says(&e, SHORTAGE_ROOM, before, now, "OutOfSpace False SpaceLeft", "");
    assert_says(&e, SHORTAGE_ROOM, "", now, "", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_group_of_a_container),
        cmocka_unit_test_setup_teardown(reads_numbers_of_the_kernel, begin, finish),
        cmocka_unit_test_setup_teardown(sees_what_is_full, begin, finish),
        cmocka_unit_test(says_it_for_a_while),
        cmocka_unit_test(says_that_all_of_it_was_ended),
        cmocka_unit_test(takes_over_what_was_said),
        cmocka_unit_test(says_what_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
