/* `passwd`: a client of the running server, with the administrator's certificate of DATA/kubeconfig. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <sodium.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/io.h"
#include "base/yaml.h"
#include "cli/command.h"
#include "cli/layout.h"

#define MAX_KUBECONFIG ((size_t)1 << 20)
#define MAX_PASSWORD 1024
#define MAX_ANSWER ((size_t)1 << 20)

struct credentials {
    yyjson_doc *doc; /* owns server */
    const char *server;
    char *ca, *certificate, *key;
    size_t ca_len, certificate_len, key_len;
};

static void credentials_clear(struct credentials *c)
{
    yyjson_doc_free(c->doc);
    free(c->ca);
    free(c->certificate);
    if (c->key)
        sodium_memzero(c->key, c->key_len);
    free(c->key);
}

static char *decode_pem(yyjson_val *v, const char *path, size_t *n)
{
    const char *text = json_str_at(v, path);
    return text ? base64_decode(str_from(text), n) : NULL;
}

static int read_credentials(const char *path, struct credentials *c, struct error **err)
{
    size_t n;
    _cleanup_free_ char *text = read_file(path, MAX_KUBECONFIG, &n, err);

    if (text == NULL)
        return -1;
    c->doc = yaml_parse((struct str){text, n}, NULL, err);
    if (c->doc == NULL)
        return error_wrap(err, "%s", path);
    yyjson_val *root = yyjson_doc_get_root(c->doc);
    yyjson_val *cluster = yyjson_arr_get_first(json_at(root, "clusters"));
    yyjson_val *user = yyjson_arr_get_first(json_at(root, "users"));
    c->server = json_str_at(cluster, "cluster.server");
    c->ca = decode_pem(cluster, "cluster.certificate-authority-data", &c->ca_len);
    c->certificate = decode_pem(user, "user.client-certificate-data", &c->certificate_len);
    c->key = decode_pem(user, "user.client-key-data", &c->key_len);
    if (c->server && c->ca && c->certificate && c->key)
        return 0;
    return error_set(err, REASON_INVALID,
                     "%s is not one of ours: `open-hydra-server kubeconfig --renew` writes a new one", path);
}

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

static size_t collect_answer(char *p, size_t size, size_t count, void *arg)
{
    buffer_append(arg, p, size * count);
    return size * count;
}

static struct curl_blob secret_blob(char *p, size_t n)
{
    return (struct curl_blob){.data = p, .len = n, .flags = CURL_BLOB_NOCOPY};
}

static int answer_of(const struct buffer *answer, long status, struct error **err)
{
    if (status == 200)
        return 0;
    _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(answer), NULL);
    const char *message = doc ? json_str_at(yyjson_doc_get_root(doc), "message") : NULL;
    return error_set(err, REASON_INTERNAL, "%s", message ? message : "the server answered with an error");
}

/* Over TLS, with the administrator's certificate, and past every proxy. */
static void prepare_patch(CURL *curl, const struct credentials *c, const char *url, struct str body)
{
    struct curl_blob ca = secret_blob(c->ca, c->ca_len), certificate = secret_blob(c->certificate, c->certificate_len),
                     key = secret_blob(c->key, c->key_len);

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca);
    curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &key);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PATCH");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.p);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body.n);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
}

static int patch_password(const struct credentials *c, const char *user, struct str body, struct error **err)
{
    _cleanup_buffer_ struct buffer answer = BUFFER_MAX(MAX_ANSWER);
    _cleanup_free_ char *url =
        xasprintf("%s/apis/open-hydra-server.openhydra.io/v1/openhydrausers/%s", c->server, user);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/merge-patch+json");
    CURL *curl = curl_easy_init();
    long status = 0;

    if (curl == NULL || headers == NULL)
        abort();
    prepare_patch(curl, c, url, body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    if (rc != CURLE_OK)
        return error_set(err, REASON_SERVICE_UNAVAILABLE,
                         "%s does not answer (%s): is `open-hydra-server run` running?", c->server,
                         curl_easy_strerror(rc));
    return answer_of(&answer, status, err);
}

static int set_password(const char *kubeconfig, const char *user, struct error **err)
{
    struct credentials c = {0};
    char password[MAX_PASSWORD + 1];
    _cleanup_buffer_ struct buffer body = BUFFER_MAX(8 * MAX_PASSWORD);
    int rc = read_credentials(kubeconfig, &c, err);

    if (rc == 0)
        rc = ask_password(password, err);
    if (rc == 0) {
        buffer_puts(&body, "{\"spec\":{\"password\":");
        buffer_json_string(&body, str_from(password));
        buffer_puts(&body, "}}");
        rc = patch_password(&c, user, buffer_str(&body), err);
    }
    sodium_memzero(password, sizeof(password));
    if (body.p)
        sodium_memzero(body.p, body.capacity);
    credentials_clear(&c);
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
