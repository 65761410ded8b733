#include "cli/devcontainer.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/buffer.h"

#define NAME_BYTES 63
#define PORTS_MAX 15
#define COMMAND_MAX ((size_t)1 << 20)
#define HOME "/home/student"
/* A devcontainer goes on when this command ends, whatever it says; a sandbox ends with its command. */
#define STAY "exec sleep 2147483647"

struct conversion {
    struct arena *arena;
    yyjson_mut_doc *doc;
    yyjson_val *from;
    yyjson_mut_val *spec;
    const char *file;
    const struct left_out *left_out;
};

static int wrong(const struct conversion *c, struct error **err, const char *field, const char *why)
{
    return error_set(err, REASON_INVALID, "%s: %s: %s", c->file, field, why);
}

static void leave_out(const struct conversion *c, const char *field, const char *why)
{
    c->left_out->tell(c->left_out->arg, field, why);
}

/* --- Reading --- */

static yyjson_doc *read_text(struct str text, const char *file, struct error **err)
{
    yyjson_read_err why;
    size_t line = 1;

    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        text = (struct str){text.p + 3, text.n - 3};
    /* It is copied. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n,
                                       YYJSON_READ_ALLOW_COMMENTS | YYJSON_READ_ALLOW_TRAILING_COMMAS, NULL, &why);
    if (doc)
        return doc;
    for (size_t i = 0; i < why.pos && i < text.n; i++)
        line += text.p[i] == '\n';
    error_set(err, REASON_INVALID, "%s:%zu: %s", file, line, why.msg);
    return NULL;
}

/* --- Name and image --- */

/* What names of objects may hold. */
static const char *name_of(struct conversion *c, const char *title)
{
    char name[NAME_BYTES + 1];
    size_t n = 0;

    for (; *title && n < NAME_BYTES; title++) {
        char one = ascii_tolower(*title);
        if (ascii_isalnum(one))
            name[n++] = one;
        else if (n && name[n - 1] != '-')
            name[n++] = '-';
    }
    while (n && name[n - 1] == '-')
        n--;
    name[n] = '\0';
    return n ? arena_strdup(c->arena, name) : "devcontainer";
}

static int convert_image(struct conversion *c, struct error **err)
{
    yyjson_val *image = yyjson_obj_get(c->from, "image");

    if (yyjson_is_str(image) && yyjson_get_len(image)) {
        json_mut_set_str(c->doc, c->spec, "cpuImageName", yyjson_get_str(image));
        return 0;
    }
    if (image)
        return wrong(c, err, "image", "expected the name of an image");
    if (yyjson_obj_get(c->from, "build") || yyjson_obj_get(c->from, "dockerFile"))
        return wrong(
            c, err, "build",
            "images are not built here: build it (podman build), push or import it (open-hydra-server images import), "
            "and name it as \"image\"");
    if (yyjson_obj_get(c->from, "dockerComposeFile"))
        return wrong(c, err, "dockerComposeFile", "an environment is one container: name its image as \"image\"");
    return wrong(c, err, "image", "is missing");
}

/* --- Variables --- */

static bool is_variable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '_')
            return false;
    return s.n > 0 && !ascii_isdigit(s.p[0]);
}

static const char *field_of(struct conversion *c, const char *list, const char *key)
{
    return arena_printf(c->arena, "%s.%s", list, key);
}

static int convert_variable(struct conversion *c, yyjson_mut_val *env, yyjson_val *key, yyjson_val *value,
                            struct error **err)
{
    const char *name = yyjson_get_str(key), *text = yyjson_get_str(value), *field = field_of(c, "containerEnv", name);

    if (!is_variable((struct str){name, yyjson_get_len(key)}))
        return wrong(c, err, field, "expected a name of letters, digits and \"_\"");
    if (!yyjson_is_str(value))
        return wrong(c, err, field, "expected a text");
    if (strstr(text, "${")) {
        leave_out(c, field, "what ${…} means is known where the editor runs, not here");
        return 0;
    }
    yyjson_mut_val *one = yyjson_mut_arr_add_obj(c->doc, env);
    json_mut_set_str(c->doc, one, "name", name);
    json_mut_set_str(c->doc, one, "value", text);
    return 0;
}

static int convert_variables(struct conversion *c, struct error **err)
{
    yyjson_val *from = yyjson_obj_get(c->from, "containerEnv"), *key, *value;
    yyjson_mut_val *env = yyjson_mut_arr(c->doc);
    size_t i, n;

    if (from && !yyjson_is_obj(from))
        return wrong(c, err, "containerEnv", "expected names and values");
    yyjson_obj_foreach (from, i, n, key, value) {
        if (convert_variable(c, env, key, value, err) < 0)
            return -1;
    }
    if (yyjson_mut_arr_size(env))
        json_mut_set(c->doc, c->spec, "env", env);
    return 0;
}

/* --- Ports --- */

/* "localhost:3000" is its own; "db:5432" is another container's, of which there are none. */
static int read_port(struct conversion *c, yyjson_val *said, const char *field, unsigned long long *port,
                     struct error **err)
{
    struct str text = {yyjson_get_str(said), yyjson_get_len(said)}, host;

    *port = yyjson_is_uint(said) ? yyjson_get_uint(said) : 0;
    if (yyjson_is_str(said)) {
        const char *colon = memrchr(text.p, ':', text.n);
        host = (struct str){text.p, colon ? (size_t)(colon - text.p) : 0};
        text = (struct str){text.p + host.n + (colon != NULL), text.n - host.n - (colon != NULL)};
        if (str_to_u64(text, UINT16_MAX, port) < 0)
            *port = 0;
        if (*port && host.n && !str_is(host, "localhost") && !str_is(host, "127.0.0.1")) {
            leave_out(c, field, "is a port of another container, and an environment is one");
            return 0;
        }
    }
    return *port >= 1 && *port <= UINT16_MAX ? 1 : wrong(c, err, field, "expected a port (1 to 65535)");
}

static bool has_port(yyjson_mut_val *list, uint64_t port)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(list);
    yyjson_mut_val *one;

    while ((one = yyjson_mut_arr_iter_next(&iter)))
        if (yyjson_mut_get_uint(one) == port)
            return true;
    return false;
}

static int convert_port(struct conversion *c, yyjson_mut_val *list, yyjson_val *said, size_t i, struct error **err)
{
    const char *field = arena_printf(c->arena, "forwardPorts[%zu]", i);
    unsigned long long port;
    int rc = read_port(c, said, field, &port, err);

    if (rc <= 0 || has_port(list, port))
        return rc < 0 ? -1 : 0;
    if (yyjson_mut_arr_size(list) == PORTS_MAX)
        leave_out(c, field, "a sandbox has at most 15 ports");
    else
        yyjson_mut_arr_add_uint(c->doc, list, port);
    return 0;
}

static int convert_ports(struct conversion *c, struct error **err)
{
    yyjson_val *from = yyjson_obj_get(c->from, "forwardPorts"), *one;
    yyjson_mut_val *ports = yyjson_mut_arr(c->doc);
    size_t i, n;

    if (from && !yyjson_is_arr(from))
        return wrong(c, err, "forwardPorts", "expected a list of ports");
    yyjson_arr_foreach (from, i, n, one) {
        if (convert_port(c, ports, one, i, err) < 0)
            return -1;
    }
    if (yyjson_mut_arr_size(ports))
        json_mut_set(c->doc, c->spec, "ports", ports);
    else
        leave_out(c, "forwardPorts",
                  "there is none, and so nothing that a browser could open: add spec.ports (or spec.socket)");
    return 0;
}

/* --- The command --- */

static void put_quoted(struct buffer *b, const char *word)
{
    buffer_puts(b, "'");
    for (; *word; word++)
        if (*word == '\'')
            buffer_puts(b, "'\\''");
        else
            buffer_append(b, word, 1);
    buffer_puts(b, "'");
}

static int put_words(struct conversion *c, struct buffer *b, yyjson_val *list, const char *field, struct error **err)
{
    yyjson_val *one;
    size_t i, n;

    if (yyjson_arr_size(list) == 0)
        return wrong(c, err, field, "expected a program and its arguments");
    yyjson_arr_foreach (list, i, n, one) {
        const char *word = yyjson_get_str(one);
        if (word == NULL)
            return wrong(c, err, field, "expected a list of texts");
        buffer_puts(b, i ? " " : "");
        put_quoted(b, word);
    }
    return 0;
}

/* A text is the shell's, a list is a program and its arguments. */
static int put_command(struct conversion *c, struct buffer *b, yyjson_val *command, const char *field,
                       struct error **err)
{
    if (yyjson_is_str(command) && yyjson_get_len(command)) {
        buffer_puts(b, yyjson_get_str(command));
        return 0;
    }
    return yyjson_is_arr(command) ? put_words(c, b, command, field, err)
                                  : wrong(c, err, field, "expected a command: a text, or a list of texts");
}

/* All of an object's at the same time. */
static int put_commands(struct conversion *c, struct buffer *b, yyjson_val *commands, struct error **err)
{
    yyjson_val *key, *one;
    size_t i, n;

    if (!yyjson_is_obj(commands))
        return put_command(c, b, commands, "postStartCommand", err);
    yyjson_obj_foreach (commands, i, n, key, one) {
        buffer_puts(b, i ? "\n(" : "(");
        if (put_command(c, b, one, field_of(c, "postStartCommand", yyjson_get_str(key)), err) < 0)
            return -1;
        buffer_puts(b, "\n) &");
    }
    buffer_puts(b, "\nwait");
    return 0;
}

static int convert_command(struct conversion *c, struct error **err)
{
    yyjson_val *from = yyjson_obj_get(c->from, "postStartCommand"),
               *override = yyjson_obj_get(c->from, "overrideCommand");
    yyjson_mut_val *command = yyjson_mut_arr(c->doc);
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(COMMAND_MAX);

    if (from == NULL || yyjson_is_null(from))
        return 0;
    if (put_commands(c, &b, from, err) < 0)
        return -1;
    if (yyjson_is_false(override)) {
        leave_out(c, "postStartCommand",
                  "overrideCommand is false: the image's own command runs, and a sandbox runs one");
        return 0;
    }
    if (strstr(b.p, "${"))
        leave_out(c, "postStartCommand", "holds ${…}, which stays as it is: it is the shell's here, not the editor's");
    buffer_puts(&b, "\n" STAY);
    yyjson_mut_arr_add_str(c->doc, command, "/bin/sh");
    yyjson_mut_arr_add_str(c->doc, command, "-c");
    yyjson_mut_arr_add_strncpy(c->doc, command, b.p, b.n);
    json_mut_set(c->doc, c->spec, "command", command);
    return 0;
}

/* --- What is left out --- */

#define AT_CREATION "runs once, when a container is made: do it in the image"
#define ON_THE_HOST "nothing runs on the host for an environment"
#define NO_RIGHTS "an environment has no such rights"
#define IN_THE_EDITOR "is the editor's: put it into the image, or into the user's settings"

/* Known ones without a sentence: NULL. */
static const struct {
    const char *key, *why;
} others[] = {
    {"$schema", NULL},
    {"name", NULL},
    {"image", NULL},
    {"containerEnv", NULL},
    {"forwardPorts", NULL},
    {"postStartCommand", NULL},
    {"overrideCommand", NULL},
    {"build", "images are not built here: image is used"},
    {"dockerFile", "images are not built here: image is used"},
    {"features", "are installed into an image: build one with them (devcontainer build), and name it as image"},
    {"overrideFeatureInstallOrder", "features are installed into an image"},
    {"initializeCommand", ON_THE_HOST},
    {"onCreateCommand", AT_CREATION},
    {"updateContentCommand", AT_CREATION},
    {"postCreateCommand", AT_CREATION},
    {"postAttachCommand", "an environment does not know when somebody opens it"},
    {"waitFor", "spec.readinessPath says when it is ready"},
    {"remoteEnv", "is for the editor's own processes: what programs need is containerEnv"},
    {"remoteUser", "a sandbox has the user's number: spec.runAsUser (1000 where it says nothing)"},
    {"containerUser", "a sandbox has the user's number: spec.runAsUser (1000 where it says nothing)"},
    {"updateRemoteUserUID", "files belong to the environment's user by themselves"},
    {"workspaceFolder", "the user's files are at spec.home (" HOME ")"},
    {"workspaceMount", "the user's files are at spec.home (" HOME ")"},
    {"mounts", "nothing of the host is mounted: data sets and courses are, and spec.volumes"},
    {"runArgs", NO_RIGHTS},
    {"privileged", NO_RIGHTS},
    {"capAdd", NO_RIGHTS},
    {"securityOpt", NO_RIGHTS},
    {"init", "the first process is the engine's own"},
    {"appPort", "name it in forwardPorts"},
    {"portsAttributes", "each port has an address of its own"},
    {"otherPortsAttributes", "each port has an address of its own"},
    {"hostRequirements", "spec.resources says what one environment gets"},
    {"shutdownAction", "an environment ends when it is deleted"},
    {"customizations", IN_THE_EDITOR},
    {"settings", IN_THE_EDITOR},
    {"extensions", IN_THE_EDITOR},
    {"secrets", "there is no place for them"},
    {"service", "an environment is one container"},
    {"runServices", "an environment is one container"},
    {"dockerComposeFile", "an environment is one container: image is used"},
};

static const char *why_left_out(const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (streq(key, others[i].key))
            return others[i].why;
    return "is not known here";
}

static void tell_others(struct conversion *c)
{
    yyjson_val *key, *value;
    size_t i, n;

    yyjson_obj_foreach (c->from, i, n, key, value) {
        const char *why = why_left_out(yyjson_get_str(key));
        if (why)
            leave_out(c, yyjson_get_str(key), why);
    }
}

/* --- All of it --- */

static yyjson_mut_val *begin(struct conversion *c)
{
    const char *title = json_str_at(c->from, "name");
    yyjson_mut_val *object = yyjson_mut_obj(c->doc);

    json_mut_set_str(c->doc, object, "apiVersion", "open-hydra-server.openhydra.io/v1");
    json_mut_set_str(c->doc, object, "kind", "Sandbox");
    json_mut_set_str(c->doc, json_mut_make_obj(c->doc, object, "metadata"), "name", name_of(c, title ? title : ""));
    c->spec = json_mut_make_obj(c->doc, object, "spec");
    json_mut_set_str(c->doc, c->spec, "displayTitle", title);
    return object;
}

yyjson_mut_val *devcontainer_sandbox(struct arena *a, struct str text, const char *file,
                                     const struct left_out *left_out, struct error **err)
{
    yyjson_doc *doc = read_text(text, file, err);

    if (doc == NULL)
        return NULL;
    json_keep(a, doc);
    struct conversion c = {
        .arena = a, .doc = json_mut_new(a), .from = yyjson_doc_get_root(doc), .file = file, .left_out = left_out};
    if (!yyjson_is_obj(c.from)) {
        error_set(err, REASON_INVALID, "%s:1: expected keys and values", file);
        return NULL;
    }
    yyjson_mut_val *object = begin(&c);
    if (convert_image(&c, err) < 0 || convert_variables(&c, err) < 0 || convert_ports(&c, err) < 0 ||
        convert_command(&c, err) < 0)
        return NULL;
    tell_others(&c);
    return object;
}
