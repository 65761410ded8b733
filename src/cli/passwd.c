/* `passwd`: a client of the running server, with the administrator's certificate of DATA/kubeconfig. */
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <sodium.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "cli/administrator.h"
#include "cli/command.h"
#include "cli/layout.h"

#define MAX_PASSWORD 1024

static int read_line(const char *prompt, char out[static MAX_PASSWORD + 1])
{
    struct termios old, silent;
    bool terminal = tcgetattr(STDIN_FILENO, &old) == 0;

    if (terminal) {
        silent = old;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        /* Only now: what is typed at it is neither shown nor thrown away. */
        fputs(prompt, stderr);
    }
    char *got = fgets(out, MAX_PASSWORD + 1, stdin);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        fputc('\n', stderr);
    }
    if (got)
        out[strcspn(out, "\n")] = '\0';
    return got && *out ? 0 : -1;
}

static int ask_password(char out[static MAX_PASSWORD + 1], struct error **err)
{
    char again[MAX_PASSWORD + 1];

    if (read_line("New password: ", out) < 0)
        return error_set(err, REASON_INVALID, "no password was given");
    if (!isatty(STDIN_FILENO))
        return 0;
    bool same = read_line("Once more: ", again) == 0 && streq(out, again);
    sodium_memzero(again, sizeof(again));
    return same ? 0 : error_set(err, REASON_INVALID, "the two differ");
}

static int patch_password(struct administrator *a, const char *user, struct str body, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("/apis/open-hydra-server.openhydra.io/v1/openhydrausers/%s", user);
    const struct administrator_call call = {
        .method = "PATCH", .path = path, .content_type = "application/merge-patch+json", .body = body, .timeout_s = 30};
    _cleanup_administrator_answer_ struct administrator_answer answer = {0};

    return administrator_call(a, &call, &answer, err) < 0 ? -1 : administrator_accepted(&answer, err);
}

static int set_password(const char *kubeconfig, const char *user, struct error **err)
{
    _cleanup_administrator_ struct administrator *a = administrator_new(kubeconfig, err);
    char password[MAX_PASSWORD + 1];
    _cleanup_buffer_ struct buffer body = BUFFER_MAX(8 * MAX_PASSWORD);

    if (a == NULL)
        return -1;
    int rc = ask_password(password, err);
    if (rc == 0) {
        buffer_puts(&body, "{\"spec\":{\"password\":");
        buffer_json_string(&body, str_from(password));
        buffer_puts(&body, "}}");
        rc = patch_password(a, user, buffer_str(&body), err);
    }
    sodium_memzero(password, sizeof(password));
    if (body.p)
        sodium_memzero(body.p, body.capacity);
    return rc;
}

int command_passwd(const struct config *config, int argc, char **argv)
{
    struct error *err = NULL;

    if (argc != 2 || !is_dns_label(str_from(argv[1]))) {
        fputs("Usage: open-hydra-server passwd USER\n", stderr);
        return 2;
    }
    struct layout *l = layout_new(config);
    int rc = set_password(l->kubeconfig, argv[1], &err);
    layout_free(l);
    if (rc < 0)
        return command_fail(err);
    printf("The password of %s is changed; its sessions have ended.\n", argv[1]);
    return 0;
}
