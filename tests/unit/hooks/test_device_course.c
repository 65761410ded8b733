/* «Start working on it», as the server has it: what it asks the runner, which is the test itself, and what it makes of the
 * environment's word. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "server/hooks/content.h"
#include "unit/client/peer.h"
#include "unit/hooks/world.h"

#define COURSE GROUP "devices/a/course"
#define COUNTS "\"counts\":{\"new\":2,\"both\":1}"

static char socket_path[128];
static int runner;

static void set_phase(const char *phase)
{
    _cleanup_free_ char *body = xasprintf("{\"status\":{\"phase\":\"%s\"}}", phase);

    patch_as(RUNNER, 200, "devices/a/status", body);
}

static int setup(void **state)
{
    world_start(3, 16);
    snprintf(socket_path, sizeof(socket_path), "%s/logs", world.f.directory);
    runner = listen_unix(socket_path, 0600, NULL);
    assert_true(runner >= 0);
    world.context.logs_socket = socket_path;
    world.context.content = content_new(&world.config, world.f.store);
    make_user("a", 2, NULL);
    make_device(201, "a");
    set_phase("Running");
    return 0;
}

static int teardown(void **state)
{
    close(runner);
    content_free(world.context.content); /* whoever is still at work */
    world.context.content = NULL;
    world_stop();
    return 0;
}

static struct watching *ask(const char *course)
{
    _cleanup_free_ char *body = xasprintf("{\"spec\":{\"course\":\"%s\"}}", course);

    return send_alone(&world.f, &(struct call){.method = "POST", .path = COURSE, .body = body});
}

static int asked(char *request, size_t max)
{
    assert_int_equal(poll(&(struct pollfd){.fd = runner, .events = POLLIN}, 1, -1), 1);
    int fd = accept(runner, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(peer_read_request(fd, request, max) > 0);
    return fd;
}

static void say(int fd, unsigned status, const char *text)
{
    _cleanup_free_ char *whole =
        xasprintf("HTTP/1.1 %u X\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(text), text);

    assert_int_equal(write_all(fd, whole, strlen(whole), NULL), 0);
    close(fd);
}

static struct answer *answer_where(unsigned status, const char *text)
{
    char request[4096];
    struct watching *w = ask("lesson");

    say(asked(request, sizeof(request)), status, text);
    return answer_of(w);
}

static void the_runner_is_asked_and_its_answer_told(void **state)
{
    _cleanup_free_ char *uid = uid_of(PLURAL_DEVICES, "a"),
                        *line = xasprintf("POST /devices/%s/course?name=%%E8%%AF%%BE%%20a%%26b HTTP/1.1\r\n", uid);
    char request[4096];
    struct watching *w = ask("\xe8\xaf\xbe a&b");
    int fd = asked(request, sizeof(request));

    assert_true(starts_with(request, line));
    say(fd, 200,
        "{\"folder\":\"courses/x\"," COUNTS
        ",\"files\":[{\"path\":\"a\",\"what\":\"both\",\"beside\":\"a (new)\",\"other\":1}]}");
    struct answer *a = expect(200, answer_of(w));
    assert_true(answer_has(a, "\"kind\":\"DeviceCourse\""));
    assert_true(answer_has(a, "\"folder\":\"courses/x\""));
    assert_true(answer_has(a, "\"new\":2"));
    assert_true(answer_has(a, "{\"path\":\"a\",\"what\":\"both\",\"beside\":\"a (new)\"}"));
}

/* An environment says what it likes. */
static void whatever_the_environment_says(void **state)
{
    static const struct {
        const char *says;
        long code;
        const char *message;
    } cases[] = {
        {"", 500, "does not say what came of it"},
        {"nonsense", 500, "does not say what came of it"},
        {"[]", 500, "does not say what came of it"},
        {"{\"counts\":7}", 200, "\"new\":0"},
        {"{" COUNTS ",\"files\":{\"a\":1},\"folder\":7}", 200, "\"files\":[]"},
        {"{" COUNTS ",\"folder\":\"a\\u001b[31m\\u202eb\"}", 200, "\"folder\":\"a?[31m?b\""},
        {"{\"error\":\"no\\u0007\",\"reason\":\"Conflict\"}", 409, "course lesson: no?"},
        {"{\"error\":\"x\",\"reason\":\"Unauthorized\"}", 500, "course lesson: x"},
        {"{\"error\":\"full\",\"reason\":\"InsufficientStorage\"," COUNTS "}", 507, "course lesson: full"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct answer *a = answer_where(200, cases[i].says);
        if (a->code != cases[i].code || !answer_has(a, cases[i].message))
            fail_msg("case %zu: %ld %s", i, a->code, buffer_str(&a->body).p);
    }
}

static void what_the_runner_refuses(void **state)
{
    static const struct {
        unsigned says;
        long code;
    } cases[] = {{400, 400}, {404, 404}, {409, 409}, {422, 422}, {429, 429}, {500, 503}, {503, 503}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_true(answer_has(expect(cases[i].code, answer_where(cases[i].says, "why not\n")), "why not\""));
    world.context.logs_socket = "/nowhere";
    assert_true(answer_has(expect(503, answer_of(ask("lesson"))), "the runner does not answer"));
}

static void what_is_refused_at_once(void **state)
{
    static const char *const bodies[] = {"", "{", "{\"spec\":{}}", "{\"spec\":{\"course\":7}}",
                                         "{\"spec\":{\"course\":\"\"}}"};

    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        struct answer *a = call(&world.f, &(struct call){.method = "POST", .path = COURSE, .body = bodies[i]});
        assert_true(a->code == 400 || a->code == 422);
    }
    set_phase("Starting");
    assert_true(answer_has(expect(409, answer_of(ask("lesson"))), "is not running"));
}

/* It goes on inside, and the server holds nothing for it. */
static void who_goes_is_not_waited_for(void **state)
{
    char request[4096], c;
    struct watching *w = ask("lesson");
    int fd = asked(request, sizeof(request));

    watch_free(w);
    assert_int_equal(read(fd, &c, 1), 0);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_runner_is_asked_and_its_answer_told),
        TEST(whatever_the_environment_says),
        TEST(what_the_runner_refuses),
        TEST(what_is_refused_at_once),
        TEST(who_goes_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
