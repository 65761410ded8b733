#include "cli/options.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/str.h"

#define WORDS_MAX 8

/* As the shell would split it. */
static int read_line(const char *line, struct options *out)
{
    static char text[256];
    static char *argv[WORDS_MAX + 2];
    int argc = 1;

    snprintf(text, sizeof(text), "%s", line);
    argv[0] = (char *)(uintptr_t) "open-hydra-server";
    for (char *word = strtok(text, " "); word && argc <= WORDS_MAX; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    optind = 0; /* from the start */
    opterr = 0;
    int rc = options_read(argc, argv, out);
    if (rc == 0 && !out->help && out->words < argc)
        assert_string_equal(argv[out->words], "run");
    return rc;
}

static void each_option_sets_its_own_field(void **state)
{
    static const struct {
        const char *name;
        size_t field;
    } texts[] = {
        {"config", offsetof(struct options, flags.file)},
        {"open-hydra-server-config", offsetof(struct options, flags.file)},
        {"data", offsetof(struct options, flags.data)},
        {"runtime", offsetof(struct options, flags.runtime)},
        {"web", offsetof(struct options, flags.web)},
        {"dashboard-listen", offsetof(struct options, flags.dashboard_listen)},
        {"environment-listen", offsetof(struct options, flags.environment_listen)},
        {"api-listen", offsetof(struct options, flags.api_listen)},
        {"engine-socket", offsetof(struct options, flags.engine_socket)},
    };
    static const struct {
        const char *before, *after;
    } forms[] = {{"--", " VALUE run"}, {"run --", " VALUE"}, {"--", "=VALUE run"}, {"run --", "=VALUE"}};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        for (size_t k = 0; k < ARRAY_SIZE(forms); k++) {
            struct options expected = {0}, o;
            char line[128];
            snprintf(line, sizeof(line), "%s%s%s", forms[k].before, texts[i].name, forms[k].after);
            assert_int_equal(read_line(line, &o), 0);
            const char **field = (const char **)(void *)((char *)&o + texts[i].field);
            assert_string_equal(*field, "VALUE");
            *field = NULL;
            expected.words = o.words;
            assert_memory_equal(&o, &expected, sizeof(o)); /* and nothing else */
        }
}

static void switches(void **state)
{
    struct options o;

    assert_int_equal(read_line("run", &o), 0);
    assert_false(o.flags.insecure || o.debug || o.renew || o.help);
    assert_int_equal(read_line("--insecure run", &o), 0);
    assert_true(o.flags.insecure && !o.debug && !o.renew && !o.help);
    assert_int_equal(read_line("run --debug", &o), 0);
    assert_true(o.debug && !o.flags.insecure && !o.renew && !o.help);
    assert_int_equal(read_line("run --renew", &o), 0);
    assert_true(o.renew && !o.flags.insecure && !o.debug && !o.help);
    assert_int_equal(read_line("run --help", &o), 0);
    assert_true(o.help && !o.flags.insecure && !o.debug && !o.renew);
    assert_int_equal(read_line("-h", &o), 0);
    assert_true(o.help);
    /* Who asks for help gets it. */
    assert_int_equal(read_line("--help --nonsense", &o), 0);
    assert_true(o.help);
}

static void the_last_one_counts(void **state)
{
    struct options o;

    assert_int_equal(read_line("--data a run --data=b --open-hydra-server-config c --config d", &o), 0);
    assert_string_equal(o.flags.data, "b");
    assert_string_equal(o.flags.file, "d");
    assert_int_equal(read_line("--dat a run", &o), 0); /* as much of it as tells it from others */
    assert_string_equal(o.flags.data, "a");
}

static void what_is_wrong(void **state)
{
    static const char *const wrong[] = {"--nonsense", "--nonsense=1 run", "-x",       "--data", "run --data",
                                        "run --web",  "--insecure=1 run", "--d x run"};
    struct options o;

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        if (read_line(wrong[i], &o) == 0)
            fail_msg("taken: %s", wrong[i]);
}

static void no_command(void **state)
{
    struct options o;

    assert_int_equal(read_line("", &o), 0);
    assert_int_equal(o.words, 1);
    assert_int_equal(read_line("--data x", &o), 0);
    assert_int_equal(o.words, 3);
}

/* Behind «--» everything is a word. */
static void words_behind_two_dashes(void **state)
{
    struct options o;

    assert_int_equal(read_line("--data x -- run --debug", &o), 0);
    assert_string_equal(o.flags.data, "x");
    assert_false(o.debug);
    assert_int_equal(o.words, 4);
}

/* Each that is listed stands in its column, and can be given. */
static void what_is_listed(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    unsigned listed = 0;
    struct str rest, line;

    options_describe(out);
    fclose(out);
    rest = (struct str){text, n};
    while (str_split(&rest, '\n', &line)) {
        if (line.n < 4 || memcmp(line.p, "  --", 4) != 0)
            continue;
        char name[64], given[96];
        struct options o;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(line.p + 4, " ,\n"), line.p + 4);
        bool text_follows = line.p[4 + strlen(name)] == ' ' && line.p[5 + strlen(name)] != ' ';
        snprintf(given, sizeof(given), "--%s%s run", name, text_follows ? " x" : "");
        assert_int_equal(read_line(given, &o), 0);
        listed++;
    }
    assert_int_equal(listed, 11);
    assert_non_null(strstr(text, "\n  --web DIR                       the dashboard's files\n"));
    assert_non_null(strstr(text, "\n  --environment-listen HOST:FIRST-LAST\n                                  a port"));
    assert_non_null(strstr(text, "\n  --help, -h                      this text\n"));
    assert_null(strstr(text, "renew"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_option_sets_its_own_field),
        cmocka_unit_test(switches),
        cmocka_unit_test(the_last_one_counts),
        cmocka_unit_test(what_is_wrong),
        cmocka_unit_test(no_command),
        cmocka_unit_test(words_behind_two_dashes),
        cmocka_unit_test(what_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
