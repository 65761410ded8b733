/* What becomes of a devcontainer.json. That the server takes it: tests/api/test_devcontainer.py. */
#include "cli/devcontainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/yaml.h"
#include "base/yaml_write.h"

static struct arena *arena;
static struct buffer said;

static int setup(void **state)
{
    arena = arena_new();
    said = BUFFER_MAX(65536);
    return 0;
}

static int teardown(void **state)
{
    arena_free(arena);
    buffer_free(&said);
    return 0;
}

static void hear(void *arg, const char *field, const char *why)
{
    buffer_printf(&said, "%s: %s\n", field, why);
}

static yyjson_mut_val *convert(const char *text, struct error **err)
{
    const struct left_out left_out = {hear, NULL};
    return devcontainer_sandbox(arena, str_from(text), "x.json", &left_out, err);
}

/* The specification as JSON, after YAML. */
static void assert_spec(const char *text, const char *spec)
{
    struct error *err = NULL;
    yyjson_mut_val *object = convert(text, &err);
    _cleanup_buffer_ struct buffer yaml = BUFFER_MAX(1 << 20);
    size_t n;

    if (object == NULL)
        fail_msg("%s", err->message);
    yaml_write(&yaml, object);
    _cleanup_json_ yyjson_doc *read = yaml_parse(buffer_str(&yaml), NULL, &err);
    if (read == NULL)
        fail_msg("%s\n%s", err->message, yaml.p);
    _cleanup_free_ char *got = json_write(json_at(yyjson_doc_get_root(read), "spec"), &n);
    assert_string_equal(got, spec);
}

static void assert_wrong(const char *text, const char *message)
{
    _cleanup_error_ struct error *err = NULL;

    if (convert(text, &err))
        fail_msg("%s was taken", text);
    assert_string_equal(err->message, message);
}

static void assert_said(const char *part)
{
    if (strstr(buffer_str(&said).p, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", buffer_str(&said).p, part);
}

#define STAY "\\nexec sleep 2147483647"

static void comments_and_commas_are_read(void **state)
{
    assert_spec(
        "\xef\xbb\xbf// for the course\n{\n  \"name\": \"Web: 课程 2026\", /* title */\n  \"image\": \"registry.example/web:1\",\n"
        "  \"containerEnv\": {\"LANG\": \"zh_CN.UTF-8\", \"N\": \"1\", \"S\": \"yes\", \"L\": \"a\\n\\\"b\\\"\",},\n"
        "  \"forwardPorts\": [5000, \"localhost:5001\", 5000,],\n  \"postStartCommand\": \"python3 -m flask run\",\n}\n",
        "{\"displayTitle\":\"Web: 课程 2026\",\"cpuImageName\":\"registry.example/web:1\","
        "\"env\":[{\"name\":\"LANG\",\"value\":\"zh_CN.UTF-8\"},{\"name\":\"N\",\"value\":\"1\"},{\"name\":\"S\",\"value\":\"yes\"},"
        "{\"name\":\"L\",\"value\":\"a\\n\\\"b\\\"\"}],\"ports\":[5000,5001],"
        "\"command\":[\"/bin/sh\",\"-c\",\"python3 -m flask run" STAY "\"]}");
    assert_int_equal(said.n, 0);
}

static void names_fit(void **state)
{
    static const char *const rows[][2] = {
        {"\"name\":\"Node.js & Mongo!\",", "node-js-mongo"},
        {"", "devcontainer"},
        {"\"name\":\"课程\",", "devcontainer"},
        {"\"name\":7,", "devcontainer"},
        {"\"name\":\"--A--\",", "a"},
        {"\"name\":\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg \xe8\xaf\xbe\",",
         "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *text = xasprintf("{%s\"image\":\"a\"}", rows[i][0]);
        yyjson_mut_val *object = convert(text, NULL);
        assert_string_equal(json_mut_str_at(object, "metadata.name"), rows[i][1]);
    }
}

static void commands_in_their_three_forms(void **state)
{
#define WITH(command) "{\"image\":\"a\",\"forwardPorts\":[1],\"postStartCommand\":" command "}"
#define IS(command) "{\"cpuImageName\":\"a\",\"ports\":[1],\"command\":[\"/bin/sh\",\"-c\",\"" command STAY "\"]}"
    assert_spec(WITH("\"a && b\""), IS("a && b"));
    assert_spec(WITH("[\"npm\",\"it's\",\"$HOME\"]"), IS("'npm' 'it'\\\\''s' '$HOME'"));
    assert_spec(WITH("{\"x\":\"a # b\",\"y\":[\"c\"]}"), IS("(a # b\\n) &\\n('c'\\n) &\\nwait"));
    assert_spec(WITH("null"), "{\"cpuImageName\":\"a\",\"ports\":[1]}");
    assert_spec("{\"image\":\"a\",\"forwardPorts\":[1],\"overrideCommand\":false,\"postStartCommand\":\"b\"}",
                "{\"cpuImageName\":\"a\",\"ports\":[1]}");
    assert_said("postStartCommand: overrideCommand is false");
}

static void what_is_left_out_is_said(void **state)
{
    assert_spec(
        "{\"image\":\"a\",\"features\":{\"x\":{}},\"remoteUser\":\"vscode\",\"postCreateCommand\":\"pip\",\"nonsense\":1,"
        "\"mounts\":[],\"customizations\":{},\"containerEnv\":{\"A\":\"${localEnv:HOME}\",\"B\":\"2\"},"
        "\"forwardPorts\":[\"db:5432\",\"127.0.0.1:80\"],\"postStartCommand\":\"echo ${containerEnv:B}\"}",
        "{\"cpuImageName\":\"a\",\"env\":[{\"name\":\"B\",\"value\":\"2\"}],\"ports\":[80],"
        "\"command\":[\"/bin/sh\",\"-c\",\"echo ${containerEnv:B}" STAY "\"]}");
    static const char *const lines[] = {"containerEnv.A: what ${",        "forwardPorts[0]: is a port of another",
                                        "postStartCommand: holds ${",     "features: are installed",
                                        "remoteUser: a sandbox has",      "postCreateCommand: runs once",
                                        "nonsense: is not known",         "mounts: nothing of the host",
                                        "customizations: is the editor's"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_said(lines[i]);
    assert_null(strstr(said.p, "\nimage:"));
    buffer_clear(&said);
    assert_spec("{\"image\":\"a\"}", "{\"cpuImageName\":\"a\"}");
    assert_said("forwardPorts: there is none");
}

static void too_many_ports(void **state)
{
    assert_spec("{\"image\":\"a\",\"forwardPorts\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}",
                "{\"cpuImageName\":\"a\",\"ports\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}");
    assert_said("forwardPorts[15]: a sandbox has at most 15");
}

static void wrong_files_are_refused(void **state)
{
    static const char *const rows[][2] = {
        {"{\n\"image\": \"a\"\n\"b\": 1}", "x.json:3: unexpected character, expected a comma or a closing brace"},
        {"[]", "x.json:1: expected keys and values"},
        {"{}", "x.json: image: is missing"},
        {"{\"image\":7}", "x.json: image: expected the name of an image"},
        {"{\"image\":\"\"}", "x.json: image: expected the name of an image"},
        {"{\"dockerComposeFile\":\"x\"}",
         "x.json: dockerComposeFile: an environment is one container: name its image as \"image\""},
        {"{\"image\":\"a\",\"containerEnv\":[]}", "x.json: containerEnv: expected names and values"},
        {"{\"image\":\"a\",\"containerEnv\":{\"A B\":\"\"}}",
         "x.json: containerEnv.A B: expected a name of letters, digits and \"_\""},
        {"{\"image\":\"a\",\"containerEnv\":{\"1A\":\"\"}}",
         "x.json: containerEnv.1A: expected a name of letters, digits and \"_\""},
        {"{\"image\":\"a\",\"containerEnv\":{\"A\":1}}", "x.json: containerEnv.A: expected a text"},
        {"{\"image\":\"a\",\"forwardPorts\":80}", "x.json: forwardPorts: expected a list of ports"},
        {"{\"image\":\"a\",\"forwardPorts\":[80,0]}", "x.json: forwardPorts[1]: expected a port (1 to 65535)"},
        {"{\"image\":\"a\",\"forwardPorts\":[65536]}", "x.json: forwardPorts[0]: expected a port (1 to 65535)"},
        {"{\"image\":\"a\",\"forwardPorts\":[\"x\"]}", "x.json: forwardPorts[0]: expected a port (1 to 65535)"},
        {"{\"image\":\"a\",\"forwardPorts\":[\"localhost:\"]}",
         "x.json: forwardPorts[0]: expected a port (1 to 65535)"},
        {"{\"image\":\"a\",\"forwardPorts\":[-1]}", "x.json: forwardPorts[0]: expected a port (1 to 65535)"},
        {"{\"image\":\"a\",\"postStartCommand\":7}",
         "x.json: postStartCommand: expected a command: a text, or a list of texts"},
        {"{\"image\":\"a\",\"postStartCommand\":[]}", "x.json: postStartCommand: expected a program and its arguments"},
        {"{\"image\":\"a\",\"postStartCommand\":[1]}", "x.json: postStartCommand: expected a list of texts"},
        {"{\"image\":\"a\",\"postStartCommand\":{\"x\":{}}}",
         "x.json: postStartCommand.x: expected a command: a text, or a list of texts"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_wrong(rows[i][0], rows[i][1]);
    _cleanup_error_ struct error *err = NULL;
    assert_null(convert("{\"build\":{}}", &err));
    assert_true(starts_with(err->message, "x.json: build: images are not built here"));
    _cleanup_error_ struct error *empty = NULL;
    assert_null(convert("", &empty));
    assert_true(starts_with(empty->message, "x.json:1: "));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(comments_and_commas_are_read), T(names_fit),      T(commands_in_their_three_forms),
        T(what_is_left_out_is_said),     T(too_many_ports), T(wrong_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
