#include "cli/administrator.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include <sodium.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/io.h"
#include "base/yaml.h"

#define MAX_KUBECONFIG ((size_t)1 << 20)
#define MAX_ANSWER ((size_t)1 << 20)

struct administrator {
    CURL *curl;
    yyjson_doc *doc; /* owns server */
    const char *server;
    char *ca, *certificate, *key;
    size_t ca_len, certificate_len, key_len;
};

void administrator_free(struct administrator *c)
{
    if (c == NULL)
        return;
    if (c->curl)
        curl_easy_cleanup(c->curl);
    yyjson_doc_free(c->doc);
    free(c->ca);
    free(c->certificate);
    if (c->key)
        sodium_memzero(c->key, c->key_len);
    free(c->key);
    free(c);
}

static char *decode_pem(yyjson_val *v, const char *path, size_t *n)
{
    const char *text = json_str_at(v, path);
    return text ? base64_decode(str_from(text), n) : NULL;
}

static int read_credentials(const char *path, struct administrator *c, struct error **err)
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

struct administrator *administrator_new(const char *kubeconfig, struct error **err)
{
    _cleanup_administrator_ struct administrator *a = xcalloc(1, sizeof(*a));

    if (read_credentials(kubeconfig, a, err) < 0)
        return NULL;
    a->curl = curl_easy_init();
    if (a->curl == NULL)
        abort();
    return steal_ptr(a);
}

/* --- One call --- */

struct transfer {
    const struct administrator_call *call;
    struct administrator_answer *answer;
    uint64_t at;
};

static size_t collect_body(char *p, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;

    buffer_append(&t->answer->body, p, size * count);
    return size * count;
}

static bool is_header(struct str line, const char *name, struct str *value)
{
    size_t n = strlen(name);

    if (line.n <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
        return false;
    *value = str_trim((struct str){line.p + n + 1, line.n - n - 1});
    return true;
}

static size_t collect_header(char *p, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct str line = {p, size * count}, value;
    unsigned long long n;

    if (is_header(line, "Location", &value)) {
        free(t->answer->location);
        t->answer->location = xstrndup(value.p, value.n);
    } else if (is_header(line, "Upload-Metadata", &value)) {
        free(t->answer->metadata);
        t->answer->metadata = xstrndup(value.p, value.n);
    } else if (is_header(line, "Upload-Offset", &value) && str_to_u64(value, INT64_MAX, &n) == 0) {
        t->answer->offset = n;
        t->answer->has_offset = true;
    }
    return line.n;
}

static size_t read_file_piece(char *out, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t max = size * count;

    if (t->call->to - t->at < max)
        max = (size_t)(t->call->to - t->at);
    ssize_t n = pread(t->call->file, out, max, (off_t)t->at);
    if (n < 0)
        return CURL_READFUNC_ABORT;
    t->at += (uint64_t)n;
    if (t->call->progress)
        t->call->progress(t->call->progress_arg, t->at);
    return (size_t)n;
}

static struct curl_blob secret_blob(char *p, size_t n)
{
    return (struct curl_blob){.data = p, .len = n, .flags = CURL_BLOB_NOCOPY};
}

static void set_identity(struct administrator *a)
{
    struct curl_blob ca = secret_blob(a->ca, a->ca_len), certificate = secret_blob(a->certificate, a->certificate_len),
                     key = secret_blob(a->key, a->key_len);

    curl_easy_setopt(a->curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(a->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(a->curl, CURLOPT_CAINFO_BLOB, &ca);
    curl_easy_setopt(a->curl, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(a->curl, CURLOPT_SSLKEY_BLOB, &key);
}

static void set_body(struct administrator *a, struct transfer *t)
{
    const struct administrator_call *c = t->call;

    if (c->has_file) {
        curl_easy_setopt(a->curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(a->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(c->to - c->from));
        curl_easy_setopt(a->curl, CURLOPT_READFUNCTION, read_file_piece);
        curl_easy_setopt(a->curl, CURLOPT_READDATA, t);
    } else if (strcmp(c->method, "HEAD") == 0) {
        curl_easy_setopt(a->curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(c->method, "GET") != 0 || c->body.p) {
        curl_easy_setopt(a->curl, CURLOPT_POSTFIELDS, c->body.p ? c->body.p : "");
        curl_easy_setopt(a->curl, CURLOPT_POSTFIELDSIZE, (long)c->body.n);
    }
    curl_easy_setopt(a->curl, CURLOPT_CUSTOMREQUEST, c->method);
}

static struct curl_slist *headers_of(const struct administrator_call *c)
{
    _cleanup_free_ char *type =
        xasprintf("Content-Type:%s%s", c->content_type ? " " : "", c->content_type ? c->content_type : "");
    struct curl_slist *list = curl_slist_append(curl_slist_append(NULL, "Expect:"), type);

    for (const char *const *h = c->headers; h && *h; h++)
        list = curl_slist_append(list, *h);
    if (list == NULL)
        abort();
    return list;
}

static void set_times(struct administrator *a, const struct administrator_call *c)
{
    curl_easy_setopt(a->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(a->curl, CURLOPT_CONNECTTIMEOUT, 15L);
    curl_easy_setopt(a->curl, CURLOPT_TIMEOUT, (long)c->timeout_s);
    /* A line that stands still is given up, and taken up again. */
    curl_easy_setopt(a->curl, CURLOPT_LOW_SPEED_LIMIT, c->has_file ? 1L : 0L);
    curl_easy_setopt(a->curl, CURLOPT_LOW_SPEED_TIME, c->has_file ? 60L : 0L);
}

int administrator_call(struct administrator *a, const struct administrator_call *call, struct administrator_answer *out,
                       struct error **err)
{
    struct transfer t = {call, out, call->from};
    _cleanup_free_ char *url = xasprintf("%s%s", a->server, call->path);
    struct curl_slist *headers = headers_of(call);
    long status = 0;

    *out = (struct administrator_answer){.body = BUFFER_MAX(MAX_ANSWER)};
    curl_easy_reset(a->curl);
    curl_easy_setopt(a->curl, CURLOPT_URL, url);
    set_identity(a);
    set_times(a, call);
    set_body(a, &t);
    curl_easy_setopt(a->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(a->curl, CURLOPT_WRITEFUNCTION, collect_body);
    curl_easy_setopt(a->curl, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(a->curl, CURLOPT_HEADERFUNCTION, collect_header);
    curl_easy_setopt(a->curl, CURLOPT_HEADERDATA, &t);
    CURLcode rc = curl_easy_perform(a->curl);
    curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    out->status = (unsigned)status;
    if (rc == CURLE_OK)
        return 0;
    return error_set(err, REASON_SERVICE_UNAVAILABLE, "%s does not answer (%s): is `open-hydra-server run` running?",
                     a->server, curl_easy_strerror(rc));
}

void administrator_answer_free(struct administrator_answer *a)
{
    buffer_free(&a->body);
    free(a->location);
    free(a->metadata);
}

static enum reason reason_of(unsigned status)
{
    static const enum reason known[] = {
        REASON_UNAUTHORIZED,        REASON_FORBIDDEN, REASON_NOT_FOUND,   REASON_CONFLICT,
        REASON_REQUEST_TOO_LARGE,   REASON_INVALID,   REASON_BAD_REQUEST, REASON_UNSUPPORTED_MEDIA_TYPE,
        REASON_INSUFFICIENT_STORAGE};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (reason_code(known[i]) == status)
            return known[i];
    return REASON_INTERNAL;
}

int administrator_accepted(const struct administrator_answer *a, struct error **err)
{
    if (a->status / 100 == 2)
        return 0;
    _cleanup_json_ yyjson_doc *doc = json_parse(buffer_str(&a->body), NULL);
    const char *message = doc ? json_str_at(yyjson_doc_get_root(doc), "message") : NULL;
    return error_set(err, reason_of(a->status), "%s", message ? message : "the server answered with an error");
}
