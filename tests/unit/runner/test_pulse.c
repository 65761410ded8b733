/* Whether what runs is alive: time is an argument, so that nothing waits. */
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/ask.h"
#include "runner/engine/process.h"
#include "runner/environment/health.h"
#include "runner/environment/limits.h"
#include "runner/environment/pulse.h"
#include "unit/client/answerer.h"

#define SECOND INT64_C(1000000)

struct setup {
    char folder[32], path[64], address[80];
    struct pulses *pulses;
    int stop_fd;
    unsigned changes;
    char changed[64]; /* the last */
    int64_t now;
    struct answerer answerer;
};

static void changed(void *arg, const char *name)
{
    struct setup *s = arg;
    s->changes++;
    snprintf(s->changed, sizeof(s->changed), "%s", name);
}

static int begin(void **state)
{
    struct setup *s = xcalloc(1, sizeof(*s));

    limits.ask_answer_ms = 300;
    snprintf(s->folder, sizeof(s->folder), "/tmp/pulse-XXXXXX");
    if (mkdtemp(s->folder) == NULL)
        return -1;
    snprintf(s->path, sizeof(s->path), "%s/s", s->folder);
    snprintf(s->address, sizeof(s->address), "unix:%s", s->path);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->pulses = pulses_new(&(struct pulses_options){s->stop_fd, changed, s});
    s->now = clock_monotonic_us();
    *state = s;
    return 0;
}

static int finish(void **state)
{
    struct setup *s = *state;

    pulses_free(s->pulses);
    close(s->stop_fd);
    unlink(s->path);
    rmdir(s->folder);
    free(s);
    return 0;
}

/* So late that each is due. */
static void round_after(struct setup *s, unsigned seconds)
{
    s->now += seconds * SECOND;
    pulses_round(s->pulses, s->now);
}

static enum pulse_state state_of(struct setup *s, const char *name)
{
    return pulses_of(s->pulses, name).state;
}

static void meet(struct setup *s, const char *name, pid_t pid, uint32_t first, uint32_t ids)
{
    struct runtime_process process = process_open(pid, (struct id_range){first, ids});

    pulses_process(s->pulses, name, &process);
    if (process.pid && process.fd >= 0)
        close(process.fd);
}

/* --- asking by itself ------------------------------------------------------------------------------------------- */

static void test_many_are_asked_at_once(void **state)
{
    struct setup *s = *state;
    char none[64], silent[64], dead[64], link[64];
    struct answerer answers, hangs, gone;

    snprintf(none, sizeof(none), "unix:%s/none", s->folder);
    snprintf(silent, sizeof(silent), "unix:%s/silent", s->folder);
    snprintf(dead, sizeof(dead), "unix:%s/dead", s->folder);
    snprintf(link, sizeof(link), "unix:%s/link", s->folder);
    answerer_start(&answers, s->path, 302);
    answerer_start(&hangs, address_socket(silent), 0);
    answerer_start(&gone, address_socket(dead), 200);
    answerer_end(&gone);
    struct question q[40] = {{.address = none, .path = "/"},
                             {.address = silent, .path = "/"},
                             {.address = dead, .path = "/"},
                             {.address = s->address, .path = "/api"}};
    for (size_t i = 4; i < 40; i++)
        q[i] = (struct question){.address = silent, .path = "/"};
    transport_ask(q, 40, 300, s->stop_fd);
    assert_int_equal(q[0].outcome, ASK_CLOSED);
    assert_int_equal(q[1].outcome, ASK_SILENT);
    assert_int_equal(q[2].outcome, ASK_CLOSED);
    assert_int_equal(q[3].outcome, ASK_ANSWERED);
    assert_int_equal(q[3].status, 302);
    for (size_t i = 4; i < 40; i++)
        assert_int_equal(q[i].outcome, ASK_SILENT);
    uint64_t one = 1;
    assert_int_equal(write(s->stop_fd, &one, sizeof(one)), sizeof(one));
    transport_ask(q + 1, 1, 60000, s->stop_fd);
    assert_int_equal(q[1].outcome, ASK_STOPPED);
    answerer_end(&answers);
    answerer_end(&hangs);
    unlink(address_socket(silent));
    unlink(address_socket(dead));
}

/* A listener on a port of this machine. */
static int listen_on_port(char *address, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    snprintf(address, n, "http://127.0.0.1:%u", ntohs(a.sin_port));
    return fd;
}

static void *answer_one(void *arg)
{
    static const char text[] = "HTTP/1.1 204 X\r\nConnection: close\r\n\r\n";
    char in[1024];
    int fd = accept(*(int *)arg, NULL, NULL);

    bool good = read(fd, in, sizeof(in)) > 9 && memcmp(in, "GET /api ", 9) == 0;
    if (good)
        good = write(fd, text, sizeof(text) - 1) > 0;
    close(fd);
    return good ? arg : NULL;
}

static void test_addresses_of_ports_are_asked(void **state)
{
    struct setup *s = *state;
    char answers[64], silent[64], dead[64];
    int answers_fd = listen_on_port(answers, sizeof(answers)), silent_fd = listen_on_port(silent, sizeof(silent));
    pthread_t thread;
    void *good;

    close(listen_on_port(dead, sizeof(dead)));
    assert_int_equal(pthread_create(&thread, NULL, answer_one, &answers_fd), 0);
    struct question q[] = {
        {.address = answers, .path = "/api"}, {.address = silent, .path = "/"}, {.address = dead, .path = "/"}};
    transport_ask(q, 3, 300, s->stop_fd);
    assert_true(q[0].outcome == ASK_ANSWERED && q[0].status == 204);
    assert_int_equal(q[1].outcome, ASK_SILENT);
    assert_int_equal(q[2].outcome, ASK_CLOSED);
    pthread_join(thread, &good);
    assert_non_null(good);
    close(answers_fd);
    close(silent_fd);
}

/* --- what is made of the answers -------------------------------------------------------------------------------- */

static void test_well_is_asked_now_and_then(void **state)
{
    struct setup *s = *state;
    struct answerer a;

    answerer_start(&a, s->path, 404);
    pulses_watch(s->pulses, "a", s->address, "/");
    round_after(s, 0);
    unsigned first = atomic_load(&a.asked); /* within three seconds, each at its own time */
    round_after(s, 4);
    assert_int_equal(atomic_load(&a.asked), 1);
    pulses_watch(s->pulses, "a", s->address, "/"); /* nothing new */
    round_after(s, first ? 6 : 10);                /* not before three quarters of the time */
    assert_int_equal(atomic_load(&a.asked), 1);
    round_after(s, 10);
    assert_int_equal(atomic_load(&a.asked), 2);
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    assert_int_equal(s->changes, 0);
    answerer_end(&a);
}

static void test_silent_after_three_misses_and_well_after_one_answer(void **state)
{
    struct setup *s = *state;
    struct answerer a;

    answerer_start(&a, s->path, 0);
    pulses_watch(s->pulses, "a", s->address, "/");
    round_after(s, 4);
    int64_t since = s->now;
    round_after(s, 3);
    assert_int_equal(s->changes, 0);
    round_after(s, 3);
    assert_int_equal(state_of(s, "a"), PULSE_SILENT);
    assert_true(pulses_of(s->pulses, "a").since_us == since);
    assert_int_equal(s->changes, 1);
    assert_string_equal(s->changed, "a");
    round_after(s, 3); /* now that it is known, no more often than another */
    assert_int_equal(atomic_load(&a.asked), 3);
    round_after(s, 60);
    assert_int_equal(s->changes, 1);
    atomic_store(&a.status, 200);
    round_after(s, 60);
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    assert_int_equal(s->changes, 2);
    /* It begins anew. */
    atomic_store(&a.status, 0);
    round_after(s, 60);
    round_after(s, 3);
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    round_after(s, 3);
    assert_int_equal(state_of(s, "a"), PULSE_SILENT);
    answerer_end(&a);
}

static void test_an_answer_between_misses(void **state)
{
    struct setup *s = *state;
    struct answerer a;

    answerer_start(&a, s->path, 503);
    pulses_watch(s->pulses, "a", s->address, "/");
    for (unsigned i = 0; i < 6; i++) {
        atomic_store(&a.status, i % 3 == 2 ? 499 : 500);
        round_after(s, 30);
    }
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    assert_int_equal(s->changes, 0);
    atomic_store(&a.status, 500);
    for (unsigned i = 0; i < 3; i++)
        round_after(s, 30);
    assert_int_equal(state_of(s, "a"), PULSE_FAILING);
    assert_int_equal(pulses_of(s->pulses, "a").status, 500);
    atomic_store(&a.status, 0);
    round_after(s, 30);
    assert_int_equal(state_of(s, "a"), PULSE_SILENT);
    answerer_end(&a);
}

static void test_closed_after_two_refusals(void **state)
{
    struct setup *s = *state;
    struct answerer a;

    answerer_start(&a, s->path, 0);
    pulses_watch(s->pulses, "a", s->address, "/");
    round_after(s, 4);
    round_after(s, 3);
    round_after(s, 3);
    assert_int_equal(state_of(s, "a"), PULSE_SILENT);
    answerer_end(&a);
    round_after(s, 30);
    assert_int_equal(state_of(s, "a"), PULSE_SILENT); /* once may be a restart inside */
    round_after(s, 3);
    assert_int_equal(state_of(s, "a"), PULSE_CLOSED);
}

static void test_most_are_silent(void **state)
{
    struct setup *s = *state;
    struct answerer a, well;
    char path[64];

    snprintf(path, sizeof(path), "unix:%s/well", s->folder);
    answerer_start(&a, s->path, 0);
    answerer_start(&well, address_socket(path), 200);
    for (char name[] = "a"; name[0] < 'd'; name[0]++)
        pulses_watch(s->pulses, name, s->address, "/");
    for (unsigned i = 0; i < 3; i++)
        round_after(s, 4);
    assert_int_equal(state_of(s, "c"), PULSE_SILENT);
    assert_false(pulses_of(s->pulses, "a").many); /* three say nothing about the machine */
    pulses_watch(s->pulses, "d", path, "/");
    assert_true(pulses_of(s->pulses, "a").many);
    pulses_watch(s->pulses, "e", path, "/");
    pulses_watch(s->pulses, "f", path, "/");
    assert_false(pulses_of(s->pulses, "a").many); /* three of six are not most */
    answerer_end(&a);
    answerer_end(&well);
    unlink(address_socket(path));
}

/* Ended for it when it has been silent for a quarter of an hour, counted from the end of a pause. */
static void test_silent_too_long(void **state)
{
    const int64_t all = limits.silent_seconds * SECOND, then = 1000 * SECOND;
    const struct {
        struct pulse pulse;
        int64_t paused_us;
        bool paused;
        int64_t now;
        bool too_long;
    } cases[] = {
        {{.state = PULSE_SILENT, .since_us = then}, 0, false, then + all, true},
        {{.state = PULSE_SILENT, .since_us = then}, 0, false, then + all - 1, false},
        {{.state = PULSE_FAILING, .since_us = then}, 0, false, then + all, false},
        {{.state = PULSE_WELL, .since_us = then}, 0, false, then + all, false},
        {{.state = PULSE_SILENT, .since_us = then, .many = true}, 0, false, then + 9 * all, false},
        {{.state = PULSE_SILENT, .since_us = then}, then, true, then + 9 * all, false},
        {{.state = PULSE_SILENT, .since_us = then}, then + 5, false, then + all + 4, false},
        {{.state = PULSE_SILENT, .since_us = then}, then + 5, false, then + all + 5, true},
        {{.state = PULSE_SILENT, .since_us = then}, then - 5, false, then + all - 1, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct environment e = {.paused = cases[i].paused, .paused_us = cases[i].paused_us};
        if (environment_silent_too_long(&e, &cases[i].pulse, cases[i].now) != cases[i].too_long)
            fail_msg("case %zu", i);
    }
}

/* What was found out of one that went meanwhile says nothing of the next of its name. */
static void *replace(void *arg)
{
    struct setup *s = arg;

    while (atomic_load(&s->answerer.asked) == 0)
        usleep(1000);
    pulses_drop(s->pulses, "a", false);
    pulses_watch(s->pulses, "a", s->address, "/");
    return NULL;
}

static void test_replaced_while_it_is_asked(void **state)
{
    struct setup *s = *state;
    pthread_t thread;

    answerer_start(&s->answerer, s->path, 0);
    pulses_watch(s->pulses, "a", s->address, "/");
    assert_int_equal(pthread_create(&thread, NULL, replace, s), 0);
    round_after(s, 4);
    pthread_join(thread, NULL);
    assert_int_equal(pulses_of(s->pulses, "a").since_us, 0);
    round_after(s, 4);
    assert_true(pulses_of(s->pulses, "a").since_us == s->now);
    answerer_end(&s->answerer);
}

/* Two hundred that hang: each gets its turn, in rounds of limited size. */
static void test_all_get_their_turn(void **state)
{
    struct setup *s = *state;
    struct answerer a;
    char name[16];

    answerer_start(&a, s->path, 200);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        pulses_watch(s->pulses, name, s->address, "/");
    }
    round_after(s, 4);
    assert_int_equal(atomic_load(&a.asked), 200);
    answerer_end(&a);
}

/* --- processes -------------------------------------------------------------------------------------------------- */

static pid_t sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static void reap(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static bool lives(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

static void test_a_process_that_ends(void **state)
{
    struct setup *s = *state;
    pid_t pid = sleeper();

    meet(s, "a", pid, 0, 0);
    round_after(s, 1);
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    kill(pid, SIGKILL);
    for (unsigned i = 0; state_of(s, "a") != PULSE_GONE && i < 5000; i++) {
        usleep(1000);
        round_after(s, 0);
    }
    assert_int_equal(state_of(s, "a"), PULSE_GONE);
    assert_int_equal(s->changes, 1);
    assert_true(pulses_of(s->pulses, "a").since_us == s->now);
    round_after(s, 100);
    assert_int_equal(s->changes, 1);
    waitpid(pid, NULL, 0);
    pulses_drop(s->pulses, "a", true);
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
}

/* A number that somebody else's process has by now is not taken for the environment's, and nobody is killed for it. */
static void test_a_process_of_somebody_else(void **state)
{
    struct setup *s = *state;
    pid_t pid = sleeper();

    meet(s, "a", pid, geteuid() + 1, 10);
    pulses_drop(s->pulses, "a", true);
    usleep(20000);
    assert_true(lives(pid));
    meet(s, "a", pid, 0, 0); /* nobody can say whose it is */
    pulses_drop(s->pulses, "a", true);
    usleep(20000);
    assert_true(lives(pid));
    reap(pid);
    meet(s, "a", pid, geteuid(), 1); /* gone before it was seen: nothing is known */
    round_after(s, 1);
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    meet(s, "b", 1, 0, 100); /* never the machine's first */
    meet(s, "b", 0, 0, 100);
    round_after(s, 1);
    assert_int_equal(state_of(s, "b"), PULSE_WELL);
}

/* The range ends before the next user's. */
static void test_a_process_of_the_next_range(void **state)
{
    static const struct {
        uint32_t first, ids;
        bool own;
    } cases[] = {{990, 10, false}, {1001, 10, false}, {990, 11, true}};
    struct setup *s = *state;

    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int ready[2];
        char c;
        assert_int_equal(pipe(ready), 0);
        pid_t pid = fork();
        if (pid == 0) {
            c = setresuid(1000, 1000, 1000) < 0;
            _exit(write(ready[1], &c, 1) == 1 ? pause() : 1);
        }
        assert_true(read(ready[0], &c, 1) == 1 && c == 0);
        close(ready[0]);
        close(ready[1]);
        meet(s, "a", pid, cases[i].first, cases[i].ids);
        pulses_drop(s->pulses, "a", true);
        int status = 0;
        if (cases[i].own)
            assert_int_equal(waitpid(pid, &status, 0), pid);
        else
            usleep(20000);
        assert_true(cases[i].own ? WIFSIGNALED(status) : lives(pid));
        if (!cases[i].own)
            reap(pid);
    }
}

static void test_what_outlives_its_container_is_killed(void **state)
{
    struct setup *s = *state;
    pid_t kept = sleeper(), killed = sleeper();

    meet(s, "a", kept, geteuid(), 1);
    pulses_drop(s->pulses, "a", false);
    meet(s, "b", killed, geteuid(), 1);
    pulses_drop(s->pulses, "b", true);
    int status;
    assert_int_equal(waitpid(killed, &status, 0), killed);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(lives(kept));
    reap(kept);
}

/* What is reached elsewhere now is asked there, and begins anew. */
static void test_an_address_that_changes(void **state)
{
    struct setup *s = *state;
    struct answerer a;

    pulses_watch(s->pulses, "a", "unix:/nonexistent/s", "/");
    round_after(s, 4);
    round_after(s, 3);
    assert_int_equal(state_of(s, "a"), PULSE_CLOSED);
    answerer_start(&a, s->path, 200);
    pulses_watch(s->pulses, "a", s->address, "/");
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    round_after(s, 4);
    assert_int_equal(atomic_load(&a.asked), 1);
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    answerer_end(&a);
}

/* The new container of a name has nothing of the old one. */
static void test_begun_anew(void **state)
{
    struct setup *s = *state;

    pulses_watch(s->pulses, "a", s->address, "/");
    round_after(s, 4);
    round_after(s, 3);
    assert_int_equal(state_of(s, "a"), PULSE_CLOSED);
    pulses_drop(s->pulses, "a", true);
    pulses_watch(s->pulses, "a", s->address, "/");
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    round_after(s, 4);
    assert_int_equal(state_of(s, "a"), PULSE_WELL);
    round_after(s, 3);
    assert_int_equal(state_of(s, "a"), PULSE_CLOSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_many_are_asked_at_once),
        TEST(test_addresses_of_ports_are_asked),
        TEST(test_well_is_asked_now_and_then),
        TEST(test_silent_after_three_misses_and_well_after_one_answer),
        TEST(test_an_answer_between_misses),
        TEST(test_closed_after_two_refusals),
        TEST(test_most_are_silent),
        TEST(test_all_get_their_turn),
        TEST(test_silent_too_long),
        TEST(test_replaced_while_it_is_asked),
        TEST(test_a_process_of_the_next_range),
        TEST(test_a_process_that_ends),
        TEST(test_a_process_of_somebody_else),
        TEST(test_what_outlives_its_container_is_killed),
        TEST(test_begun_anew),
        TEST(test_an_address_that_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
