/* Whether an environment is in use: what was seen and the times are arguments, so that nothing waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "runner/engine/work.h"
#include "runner/environment/activity.h"
#include "runner/environment/activity_look.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define NOON INT64_C(1767268800000000) /* 2026-01-01T12:00:00Z */

/* --- the policy --------------------------------------------------------------------------------------------------- */

/* Twelve hours, watched since long ago. */
static struct idle_facts quiet_since(int64_t active_us)
{
    return (struct idle_facts){.limit_us = 12 * HOUR,
                               .warning_us = idle_warning_us(12 * HOUR),
                               .active_us = active_us,
                               .watched_us = active_us - 100 * HOUR,
                               .told = true};
}

static void is_kept(const struct idle_facts *f, int64_t now)
{
    assert_int_equal(idle_judge(f, now).kind, IDLE_KEEP);
}

static void ends(const struct idle_facts *f, int64_t now, enum idle_kind kind, int64_t at)
{
    struct idle_verdict v = idle_judge(f, now);
    assert_int_equal(v.kind, kind);
    assert_int_equal(v.ends_us, at);
}

static void what_is_quiet_for_so_long_ends(void **state)
{
    struct idle_facts f = quiet_since(NOON);

    is_kept(&f, NOON);
    is_kept(&f, NOON + 11 * HOUR + 29 * MINUTE);
    ends(&f, NOON + 11 * HOUR + 30 * MINUTE, IDLE_SOON, NOON + 12 * HOUR);
    f.warned_us = NOON + 11 * HOUR + 30 * MINUTE;
    ends(&f, NOON + 12 * HOUR - SECOND, IDLE_SOON, NOON + 12 * HOUR);
    ends(&f, NOON + 12 * HOUR, IDLE_END, NOON + 12 * HOUR);
    f.active_us = NOON + 12 * HOUR - SECOND; /* somebody came back */
    is_kept(&f, NOON + 12 * HOUR);
}

static void nothing_ends_unannounced(void **state)
{
    struct idle_facts f = quiet_since(NOON);

    ends(&f, NOON + 20 * HOUR, IDLE_SOON, NOON + 20 * HOUR + 30 * MINUTE);
    f.warned_us = NOON + 20 * HOUR;
    ends(&f, NOON + 20 * HOUR + 29 * MINUTE, IDLE_SOON, NOON + 20 * HOUR + 30 * MINUTE);
    ends(&f, NOON + 20 * HOUR + 30 * MINUTE, IDLE_END, NOON + 20 * HOUR + 30 * MINUTE);
}

static void who_asks_keeps_it(void **state)
{
    struct idle_facts f = quiet_since(NOON);

    f.warned_us = NOON + 12 * HOUR - MINUTE;
    f.keep_us = NOON + 20 * HOUR;
    is_kept(&f, NOON + 12 * HOUR);
    ends(&(struct idle_facts){.limit_us = f.limit_us,
                              .warning_us = f.warning_us,
                              .keep_us = f.keep_us,
                              .active_us = f.active_us,
                              .watched_us = f.watched_us,
                              .told = true},
         NOON + 20 * HOUR - 30 * MINUTE, IDLE_SOON, NOON + 20 * HOUR);
    f.keep_us = NOON + HOUR; /* earlier than it would end anyway: no difference */
    is_kept(&f, NOON + HOUR);
    is_kept(&f, NOON + 2 * HOUR);
}

static void who_begins_to_watch_looks_first(void **state)
{
    struct idle_facts f = quiet_since(NOON);

    f.watched_us = NOON + 40 * HOUR;
    f.warned_us = f.watched_us;
    ends(&f, f.watched_us + 29 * MINUTE, IDLE_SOON, f.watched_us + 30 * MINUTE);
    ends(&f, f.watched_us + 30 * MINUTE, IDLE_END, f.watched_us + 30 * MINUTE);
}

static void without_a_limit_or_a_number_it_stays(void **state)
{
    struct idle_facts f = quiet_since(NOON);

    f.warned_us = NOON;
    f.told = false;
    is_kept(&f, NOON + 1000 * HOUR);
    f.told = true;
    f.limit_us = f.warning_us = 0;
    is_kept(&f, NOON + 1000 * HOUR);
}

static void times_follow_the_limit(void **state)
{
    assert_int_equal(idle_warning_us(12 * HOUR), 30 * MINUTE);
    assert_int_equal(idle_warning_us(8 * SECOND), 2 * SECOND);
    assert_int_equal(idle_look_us(12 * HOUR), MINUTE);
    assert_int_equal(idle_look_us(16 * SECOND), 2 * SECOND);
    assert_int_equal(idle_ask_us(12 * HOUR), 5 * MINUTE);
    assert_int_equal(idle_step_us(12 * HOUR), HOUR);
    assert_int_equal(idle_look_us(0), MINUTE);
    assert_int_equal(idle_step_us(0), HOUR);
}

/* --- one look ----------------------------------------------------------------------------------------------------- */

static struct look look_of_a_minute(uint64_t cpu_us, uint64_t io_bytes, uint64_t io_wait_us)
{
    return (struct look){.now_us = NOON,
                         .after = {.cpu_us = cpu_us, .io_bytes = io_bytes, .io_wait_us = io_wait_us},
                         .between_us = MINUTE,
                         .gpu_percent = -1};
}

static void sees(const struct look *l, enum source s, enum sign sign, int64_t busy_us)
{
    struct sighting seen = look_at(l, s);
    assert_int_equal(seen.sign, sign);
    assert_int_equal(seen.busy_us, busy_us);
}

static void what_an_idle_server_needs_is_no_work(void **state)
{
    struct look l = look_of_a_minute(2 * SECOND, 1 << 20, 0);

    sees(&l, SOURCE_PROCESSOR, SIGN_TOLD, 0);
    sees(&l, SOURCE_DISK, SIGN_TOLD, 0);
    l = look_of_a_minute(30 * SECOND, 0, 0);
    sees(&l, SOURCE_PROCESSOR, SIGN_TOLD, NOON);
    l.between_us = 0;
    sees(&l, SOURCE_PROCESSOR, SIGN_UNTOLD, 0);
    l.between_us = MINUTE;
    l.before.cpu_us = 60 * SECOND; /* another container */
    sees(&l, SOURCE_PROCESSOR, SIGN_TOLD, 0);
}

static void waiting_for_a_disk_is_work(void **state)
{
    struct look l = look_of_a_minute(SECOND, UINT64_C(100) << 20, 0);

    sees(&l, SOURCE_DISK, SIGN_TOLD, NOON);
    l = look_of_a_minute(SECOND, 0, 10 * SECOND);
    sees(&l, SOURCE_DISK, SIGN_TOLD, NOON);
    sees(&l, SOURCE_PROCESSOR, SIGN_TOLD, 0);
}

static void waiting_for_a_gpu_is_work(void **state)
{
    struct look l = look_of_a_minute(0, 0, 0);

    sees(&l, SOURCE_GPU, SIGN_NONE, 0);
    l.has_gpus = l.gpu_is_own = true;
    sees(&l, SOURCE_GPU, SIGN_UNTOLD, 0);
    l.gpu_percent = 80;
    sees(&l, SOURCE_GPU, SIGN_TOLD, NOON);
    l.gpu_is_own = false; /* the others' work on one that they share */
    sees(&l, SOURCE_GPU, SIGN_TOLD, 0);
    l.gpu_percent = 0;
    sees(&l, SOURCE_GPU, SIGN_TOLD, 0);
}

static struct sighting seen_in(enum source s, const char *text)
{
    _cleanup_json_ yyjson_doc *doc = json_parse(str_from(text), NULL);
    struct look l = {.now_us = NOON, .gpu_percent = -1};

    l.answers[s] = (struct look_answer){.told = true, .there = doc != NULL, .root = yyjson_doc_get_root(doc)};
    return look_at(&l, s);
}

static void kernels_say_what_they_do(void **state)
{
    static const char idle[] = "[{\"execution_state\":\"idle\",\"last_activity\":\"2026-01-01T10:00:00.500000Z\","
                               "\"connections\":3},{\"execution_state\":\"starting\",\"last_activity\":\"?\"}]";
    static const char busy[] = "[{\"execution_state\":\"idle\"},{\"execution_state\":\"busy\"}]";

    assert_int_equal(seen_in(SOURCE_KERNELS, idle).busy_us, NOON - 2 * HOUR + SECOND / 2);
    assert_int_equal(seen_in(SOURCE_KERNELS, busy).busy_us, NOON);
    assert_int_equal(seen_in(SOURCE_KERNELS, "[]").sign, SIGN_TOLD);
    assert_int_equal(seen_in(SOURCE_KERNELS, "[]").busy_us, 0);
    assert_int_equal(seen_in(SOURCE_KERNELS, "{\"a\":1}").sign, SIGN_NONE);
    assert_int_equal(seen_in(SOURCE_KERNELS, "<html>").sign, SIGN_NONE);
    /* Nobody is active in the future, whatever is said inside. */
    assert_int_equal(seen_in(SOURCE_KERNELS, "[{\"last_activity\":\"2099-01-01T00:00:00Z\"}]").busy_us, NOON);
    assert_int_equal(seen_in(SOURCE_TERMINALS, "[]").sign, SIGN_NONE);
    assert_int_equal(seen_in(SOURCE_TERMINALS, "[{\"name\":\"1\",\"last_activity\":\"2026-01-01T11:00:00Z\"}]").busy_us,
                     NOON - HOUR);
}

static void what_gives_no_answer_says_nothing(void **state)
{
    struct look l = {.now_us = NOON, .gpu_percent = -1};

    sees(&l, SOURCE_KERNELS, SIGN_UNTOLD, 0);
    sees(&l, SOURCE_VISITS, SIGN_UNTOLD, 0);
    l.visits_told = true;
    sees(&l, SOURCE_VISITS, SIGN_TOLD, 0);
    l.visit_us = NOON - HOUR;
    sees(&l, SOURCE_VISITS, SIGN_TOLD, NOON - HOUR);
}

/* --- the numbers of control groups -------------------------------------------------------------------------------- */

#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void put(const char *root, const char *path, const char *text)
{
    _cleanup_free_ char *file = xasprintf("%s/%s", root, path);
    _cleanup_free_ char *folder = xstrdup(file);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(make_directory(folder, 0755, NULL), 0);
    assert_int_equal(write_file_atomic(file, str_from(text), 0644, NULL), 0);
}

static void removes(const char *root)
{
    _cleanup_free_ char *command = xasprintf("rm -r %s", root);
    assert_int_equal(system(command), 0);
}

static void both_versions_are_read(void **state)
{
    char root[] = "/tmp/work-XXXXXX";
    struct runtime_work w;

    assert_non_null(mkdtemp(root));
    put(root, "7/cgroup", "0::/machine.slice/libpod-" CONTAINER ".scope/container\n");
    put(root, "machine.slice/libpod-" CONTAINER ".scope/container/cpu.stat", "usage_usec 5000\nuser_usec 1\n");
    put(root, "machine.slice/libpod-" CONTAINER ".scope/container/io.stat",
        "8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=7 dios=0\n8:16 rbytes=3 wbytes=0 rios=1\n");
    put(root, "machine.slice/libpod-" CONTAINER ".scope/container/io.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n");
    put(root, "machine.slice/libpod-" CONTAINER ".scope/container/memory.current", "1000\n");
    put(root, "machine.slice/libpod-" CONTAINER ".scope/container/memory.stat", "anon 1\ninactive_file 300\n");
    put(root, "machine.slice/libpod-" CONTAINER ".scope/container/pids.current", "12\n");
    assert_int_equal(engine_work_of(root, root, 7, &w, NULL), 0);
    assert_int_equal(w.cpu_us, 5000);
    assert_int_equal(w.io_bytes, 123);
    assert_int_equal(w.io_wait_us, 77);
    assert_int_equal(w.memory_bytes, 700);
    assert_int_equal(w.tasks, 12);

    put(root, "8/cgroup",
        "9:pids:/p/libpod-" CONTAINER "\n4:memory:/p/libpod-" CONTAINER "\n2:cpu,cpuacct:/p/libpod-" CONTAINER
        "\n7:blkio:/p/libpod-" CONTAINER "\n1:name=systemd:/\n0::/\n");
    put(root, "cpu,cpuacct/p/libpod-" CONTAINER "/cpuacct.usage", "9000000\n");
    put(root, "blkio/p/libpod-" CONTAINER "/blkio.throttle.io_service_bytes_recursive",
        "8:0 Read 10\n8:0 Write 5\n8:0 Sync 9\n8:0 Total 15\nTotal 15\n");
    put(root, "memory/p/libpod-" CONTAINER "/memory.usage_in_bytes", "50\n");
    put(root, "pids/p/libpod-" CONTAINER "/pids.current", "3\n");
    assert_int_equal(engine_work_of(root, root, 8, &w, NULL), 0);
    assert_int_equal(w.cpu_us, 9000);
    assert_int_equal(w.io_bytes, 15);
    assert_int_equal(w.memory_bytes, 50);
    assert_int_equal(w.tasks, 3);

    /* The group of somebody else: an engine without groups of its own. */
    put(root, "9/cgroup", "0::/user.slice\n");
    put(root, "user.slice/cpu.stat", "usage_usec 5000\n");
    assert_int_equal(engine_work_of(root, root, 9, &w, NULL), -1);
    assert_int_equal(engine_work_of(root, root, 10, &w, NULL), -1);
    removes(root);
}

/* --- looking again and again -------------------------------------------------------------------------------------- */

struct scene {
    struct runtime runtime;
    struct activities *activities;
    struct client *client;
    int stop_fd;
    int64_t now;
    _Atomic unsigned changes;
};

static struct runtime_work using;
static bool is_seen;

static int work(struct runtime *r, const char *id, pid_t pid, struct runtime_work *out, struct error **err)
{
    *out = using;
    return is_seen ? 0 : error_set(err, REASON_NOT_FOUND, "it is not seen");
}

/* Two that are shared: «A», on which others work, and «B». */
static int percent_of_b;
static unsigned processes_on_b;

static void gpus(struct runtime *r, struct arena *a, struct runtime_gpu **out, size_t *n)
{
    *out = arena_alloc(a, 2 * sizeof(**out));
    (*out)[0] = (struct runtime_gpu){.id = "A", .units = 2, .utilization = 90};
    (*out)[1] = (struct runtime_gpu){.id = "B", .units = 2, .utilization = percent_of_b};
    *n = 2;
}

static void gpu_use(struct runtime *r, struct arena *a, const char *id, struct runtime_gpu_use **out, size_t *n)
{
    *out = arena_alloc(a, 2 * sizeof(**out));
    (*out)[0] = (struct runtime_gpu_use){.id = "A"};
    (*out)[1] = (struct runtime_gpu_use){.id = "B", .processes = processes_on_b};
    *n = 2;
}

static const struct runtime_ops ops = {.name = "numbers", .work = work, .gpus = gpus, .gpu_use = gpu_use};

static void changed(void *arg, const char *name)
{
    ((struct scene *)arg)->changes++;
}

static int begin(void **state)
{
    struct scene *s = xcalloc(1, sizeof(*s));

    using = (struct runtime_work){.memory_bytes = UINT64_C(100) << 20, .tasks = 4};
    is_seen = true;
    s->runtime.ops = &ops;
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->client =
        client_new(&(struct client_options){.transport = {.socket = "/nonexistent/server", .url = "http://server"},
                                            .prefix = "/apis/g/v1",
                                            .stop_fd = s->stop_fd});
    s->activities = activities_new(&(struct activities_options){s->stop_fd, s->client, &s->runtime, changed, s});
    s->now = NOON;
    activities_round(s->activities, s->now);
    *state = s;
    return 0;
}

static int finish(void **state)
{
    struct scene *s = *state;

    activities_free(s->activities);
    client_free(s->client);
    close(s->stop_fd);
    free(s);
    return 0;
}

static void watch(struct scene *s, const char *name, int64_t limit, int64_t keep, int64_t last)
{
    activities_watch(s->activities, &(struct activity_subject){.name = name,
                                                               .instance = name,
                                                               .pid = 7,
                                                               .address = "unix:/nonexistent/environment",
                                                               .limit_us = limit,
                                                               .keep_us = keep,
                                                               .last_us = last});
}

/* Looks each half a second, as the thread does, whatever the processor did meanwhile. */
static void passes(struct scene *s, int64_t seconds, unsigned milli)
{
    for (int64_t i = 0; i < seconds * 2; i++) {
        s->now += SECOND / 2;
        using.cpu_us += milli * 500;
        activities_round(s->activities, s->now);
    }
}

static struct activity of(struct scene *s, const char *name)
{
    struct activity act = {0};
    activities_of(s->activities, name, &act);
    return act;
}

static void quiet_ends_and_work_does_not(void **state)
{
    struct scene *s = *state;

    watch(s, "a", 40 * SECOND, 0, 0);
    assert_false(of(s, "a").known);
    passes(s, 15, 2);
    assert_true(of(s, "a").known);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_KEEP);
    passes(s, 22, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_SOON);
    assert_in_range(of(s, "a").verdict.ends_us, NOON + 40 * SECOND, NOON + 47 * SECOND); /* as it was looked at */
    assert_false(of(s, "a").in_use);
    passes(s, 11, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_END);
    assert_non_null(strstr(of(s, "a").message, "processor since before 2026-01-01T12:00:00Z"));
    assert_non_null(strstr(of(s, "a").message, "kernels not known"));
    assert_non_null(strstr(of(s, "a").message, "no GPU"));
    /* It was used after all, before anybody ended it. */
    passes(s, 10, 500);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_KEEP);
    passes(s, 1000, 500);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_KEEP);
    assert_true(of(s, "a").in_use);
    assert_string_equal(of(s, "a").reason, "ProcessorBusy");
    assert_in_range(of(s, "a").usage.cpu_milli, 490, 510);
}

static void who_works_is_written_in_steps(void **state)
{
    struct scene *s = *state;

    watch(s, "a", 12 * HOUR, 0, 0);
    passes(s, 6 * 3600, 500);
    assert_in_range(s->changes, 5, 8); /* the first look, and once an hour */
    unsigned before = s->changes;
    passes(s, 3600 + 300, 2);
    assert_in_range(s->changes, before + 1, before + 2); /* what it uses; that it is quiet, and since when */
    before = s->changes;
    assert_in_range(of(s, "a").last_us, NOON + 6 * HOUR - 2 * MINUTE, NOON + 6 * HOUR + 2 * MINUTE);
    passes(s, 9 * 3600, 2);
    assert_int_equal(s->changes, before);
}

static void asking_to_keep_it_counts_at_once(void **state)
{
    struct scene *s = *state;

    watch(s, "a", 40 * SECOND, 0, 0);
    passes(s, 37, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_SOON);
    watch(s, "a", 40 * SECOND, NOON + HOUR, 0);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_KEEP);
    passes(s, 3000, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_KEEP);
    passes(s, 720, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_END);
}

static void what_another_runner_wrote_is_taken_over(void **state)
{
    struct scene *s = *state;

    /* Quiet for long: it is seen quiet for the time of a warning, and ended then, not before. */
    watch(s, "old", 400 * SECOND, 0, NOON - 500 * SECOND);
    passes(s, 95, 2);
    assert_int_equal(of(s, "old").verdict.kind, IDLE_SOON);
    passes(s, 100, 2);
    assert_int_equal(of(s, "old").verdict.kind, IDLE_END);
    /* Nothing is known of it: it begins now. */
    watch(s, "new", 400 * SECOND, 0, 0);
    passes(s, 290, 2);
    assert_int_equal(of(s, "new").verdict.kind, IDLE_KEEP);
}

static void what_is_not_seen_is_not_ended(void **state)
{
    struct scene *s = *state;

    is_seen = false;
    watch(s, "a", 40 * SECOND, 0, 0);
    passes(s, 400, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_KEEP);
}

static void a_clock_that_is_set_ends_nothing(void **state)
{
    struct scene *s = *state;

    watch(s, "a", 40 * SECOND, 0, 0);
    passes(s, 10, 500);
    activities_shift(s->activities, 100 * HOUR);
    s->now += 100 * HOUR;
    passes(s, 20, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_KEEP);
    passes(s, 35, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_END);
}

static void what_others_do_on_a_shared_gpu_counts_for_them(void **state)
{
    struct scene *s = *state;
    const struct activity_subject a = {.name = "a",
                                       .instance = "a",
                                       .pid = 7,
                                       .address = "unix:/nonexistent/environment",
                                       .gpus = "A,B",
                                       .limit_us = 40 * SECOND};

    percent_of_b = 50;
    processes_on_b = 1; /* its own, beside one that is busier with others */
    activities_watch(s->activities, &a);
    passes(s, 200, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_KEEP);
    assert_string_equal(of(s, "a").reason, "GPUBusy");
    processes_on_b = 0;
    passes(s, 60, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_END);
}

static void what_is_dropped_begins_anew(void **state)
{
    struct scene *s = *state;

    watch(s, "a", 40 * SECOND, 0, 0);
    passes(s, 39, 2);
    activities_drop(s->activities, "a");
    assert_false(of(s, "a").known);
    watch(s, "a", 40 * SECOND, 0, 0);
    passes(s, 20, 2);
    assert_int_equal(of(s, "a").verdict.kind, IDLE_KEEP);
}

/* The thread looks while others tell and ask. */
static void all_may_call_at_once(void **state)
{
    struct scene *s = *state;
    uint64_t one = 1;

    activities_start(s->activities);
    for (unsigned i = 0; !of(s, "seen").known; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", i % 50);
        watch(s, "seen", 8 * SECOND, 0, 0);
        watch(s, name, 8 * SECOND, (int64_t)i, 0);
        activities_shift(s->activities, 0);
        activities_drop(s->activities, i % 3 ? "none" : name);
        usleep(1000);
    }
    assert_int_equal(write(s->stop_fd, &one, sizeof(one)), sizeof(one));
    activities_stop(s->activities);
    assert_true(of(s, "seen").known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_quiet_for_so_long_ends),
        cmocka_unit_test(nothing_ends_unannounced),
        cmocka_unit_test(who_asks_keeps_it),
        cmocka_unit_test(who_begins_to_watch_looks_first),
        cmocka_unit_test(without_a_limit_or_a_number_it_stays),
        cmocka_unit_test(times_follow_the_limit),
        cmocka_unit_test(what_an_idle_server_needs_is_no_work),
        cmocka_unit_test(waiting_for_a_disk_is_work),
        cmocka_unit_test(waiting_for_a_gpu_is_work),
        cmocka_unit_test(kernels_say_what_they_do),
        cmocka_unit_test(what_gives_no_answer_says_nothing),
        cmocka_unit_test(both_versions_are_read),
        cmocka_unit_test_setup_teardown(quiet_ends_and_work_does_not, begin, finish),
        cmocka_unit_test_setup_teardown(who_works_is_written_in_steps, begin, finish),
        cmocka_unit_test_setup_teardown(asking_to_keep_it_counts_at_once, begin, finish),
        cmocka_unit_test_setup_teardown(what_another_runner_wrote_is_taken_over, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_not_seen_is_not_ended, begin, finish),
        cmocka_unit_test_setup_teardown(a_clock_that_is_set_ends_nothing, begin, finish),
        cmocka_unit_test_setup_teardown(what_others_do_on_a_shared_gpu_counts_for_them, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_dropped_begins_anew, begin, finish),
        cmocka_unit_test_setup_teardown(all_may_call_at_once, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
