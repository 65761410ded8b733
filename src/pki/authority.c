#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/secret.h"
#include "pki/authority.h"
#include "pki/pki.h"

#define PEM_MAX ((size_t)64 << 10)
#define LIST_MAX ((size_t)1 << 20)
#define DAY ((int64_t)24 * 3600)
#define AUTHORITY_LIFE (3650 * DAY)
#define LEAF_LIFE (365 * DAY)
#define EARLIEST_CLOCK INT64_C(1767225600) /* 2026-01-01 */

/* --- Files --- */

/* The server and a subcommand beside it do not both make an authority. Released when the descriptor is closed. */
static int lock_directory(const char *directory, struct error **err)
{
    if (make_directory(directory, 0755, err) < 0)
        return -1;
    _cleanup_free_ char *path = xasprintf("%s/lock", directory);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "lock %s", path);
    return steal_fd(fd);
}

static char *read_pem(const char *directory, const char *name, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    return read_file(path, PEM_MAX, NULL, err);
}

static X509 *read_certificate(const char *directory, const char *name, struct error **err)
{
    _cleanup_free_ char *pem = read_pem(directory, name, err);

    if (pem == NULL)
        return NULL;
    X509 *c = x509_parse_certificate(pem);
    if (c == NULL)
        error_set(err, REASON_INVALID, "%s/%s holds no certificate", directory, name);
    return c;
}

static EVP_PKEY *read_key_file(const char *directory, const char *name, struct error **err)
{
    _cleanup_secret_ char *pem = read_pem(directory, name, err);

    if (pem == NULL)
        return NULL;
    EVP_PKEY *key = x509_parse_key(pem);
    if (key == NULL)
        error_set(err, REASON_INVALID, "%s/%s holds no private key", directory, name);
    return key;
}

static int write_certificate(const char *directory, const char *name, X509 *c, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name), *pem = x509_certificate_pem(c);
    return write_file_atomic(path, str_from(pem), 0644, err);
}

static int write_key(const char *directory, const char *name, EVP_PKEY *key, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    _cleanup_secret_ char *pem = x509_key_pem(key);
    return write_file_atomic(path, str_from(pem), 0600, err);
}

static bool has_file(const char *directory, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    return path_exists(path);
}

/* --- The authority --- */

bool pki_clock_is_set(int64_t now_us)
{
    return now_us >= EARLIEST_CLOCK * 1000000;
}

/* Whether anything was ever issued that an authority lost now has to stand for. */
static bool has_issued(const char *directory)
{
    return has_file(directory, "admins") || has_file(directory, "server.key") || has_file(directory, "server.crt");
}

/* A key without its certificate: half of a first start that was killed, or somebody has lost the other half. The same
 * where there is neither, but with no key left that could be saved. */
static int check_missing(const char *directory, struct error **err)
{
    if (has_file(directory, "ca.key") && has_issued(directory))
        return error_set(
            err, REASON_INVALID,
            "%s/ca.crt is missing, and its key is there: restore ca.crt (a kubeconfig that was handed out "
            "holds it), or remove ca.key as well to start with a new authority (every kubeconfig must then "
            "be written anew)",
            directory);
    if (!pki_clock_is_set(clock_realtime_us()))
        return error_set(err, REASON_INVALID,
                         "the clock of this machine is not set: an authority made now would have expired when it is");
    if (has_issued(directory))
        log_warning("%s holds no authority any more: a new one is made, and every kubeconfig that was handed out must "
                    "be written anew",
                    directory);
    return 0;
}

static int make_authority(const char *directory, struct error **err)
{
    static const struct certificate_request request = {
        .common_name = "open-hydra CA", .authority = true, .seconds = AUTHORITY_LIFE};
    _cleanup_key_ EVP_PKEY *key = x509_make_key(err);
    if (key == NULL)
        return -1;
    _cleanup_x509_ X509 *c = x509_issue(&request, key, NULL, err);
    if (c == NULL)
        return -1;
    /* The key first: a certificate without its key, left by a crash between the two, would stop every later start. */
    if (write_key(directory, "ca.key", key, err) < 0)
        return -1;
    return write_certificate(directory, "ca.crt", c, err);
}

enum authority_time pki_authority_time(int64_t begins_us, int64_t expires_us, int64_t now_us)
{
    if (expires_us < now_us)
        return AUTHORITY_EXPIRED;
    if (begins_us > now_us)
        return AUTHORITY_NOT_YET;
    return expires_us - now_us < LEAF_LIFE * 1000000 ? AUTHORITY_EXPIRES_SOON : AUTHORITY_GOOD;
}

static void say_not_yet(const char *directory, X509 *certificate)
{
    char begins[TIMESTAMP_SIZE];

    timestamp(begins, x509_begins_us(certificate));
    log_warning(
        "the authority %s/ca.crt is valid from %s on: this machine's clock is wrong, or was when it was made. Until "
        "then kubectl refuses it; removing ca.crt and ca.key starts with a new one (every kubeconfig must then be "
        "written anew)",
        directory, begins);
}

/* An authority that is there is never replaced by itself: every kubeconfig that was handed out trusts it. */
static int check_authority(const char *directory, const struct issuer *ca, struct error **err)
{
    if (!x509_belongs(ca->certificate, ca->key))
        return error_set(err, REASON_INVALID,
                         "%s/ca.key does not belong to ca.crt: restore the right one, or remove both to start with a "
                         "new authority (every kubeconfig must then be written anew)",
                         directory);
    switch (
        pki_authority_time(x509_begins_us(ca->certificate), x509_expires_us(ca->certificate), clock_realtime_us())) {
    case AUTHORITY_EXPIRED:
        return error_set(err, REASON_INVALID,
                         "the authority %s/ca.crt has expired: remove ca.crt and ca.key to start with a new one (every "
                         "kubeconfig must then be written anew)",
                         directory);
    case AUTHORITY_NOT_YET:
        say_not_yet(directory, ca->certificate);
        return 0;
    case AUTHORITY_EXPIRES_SOON:
        log_warning("the authority %s/ca.crt expires within a year", directory);
        return 0;
    case AUTHORITY_GOOD:
        return 0;
    }
    return 0;
}

void issuer_clear(struct issuer *ca)
{
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
    *ca = (struct issuer){0};
}

static int open_authority(const char *directory, struct issuer *ca, struct error **err)
{
    if (!has_file(directory, "ca.crt") && (check_missing(directory, err) < 0 || make_authority(directory, err) < 0))
        return error_wrap(err, "make the certificate authority");
    ca->certificate = read_certificate(directory, "ca.crt", err);
    ca->key = ca->certificate ? read_key_file(directory, "ca.key", err) : NULL;
    if (ca->key == NULL)
        return error_wrap(err, "read the certificate authority");
    return check_authority(directory, ca, err);
}

int pki_open(const char *directory, struct issuer *ca, struct error **err)
{
    _cleanup_close_ int lock = lock_directory(directory, err);

    if (lock < 0)
        return -1;
    if (open_authority(directory, ca, err) < 0)
        return -1;
    return steal_fd(lock);
}

/* --- The server's leaf --- */

static bool leaf_is_good(const struct pki_options *o, const struct issuer *ca)
{
    _cleanup_x509_ X509 *c = read_certificate(o->directory, "server.crt", NULL);
    _cleanup_key_ EVP_PKEY *key = c ? read_key_file(o->directory, "server.key", NULL) : NULL;

    return key && x509_belongs(c, key) && x509_signed_by(c, ca->certificate) && !x509_is_due(c, clock_realtime_us()) &&
           x509_has_hosts(c, o->hosts);
}

static int make_leaf(const struct pki_options *o, const struct issuer *ca, struct error **err)
{
    struct certificate_request request = {.common_name = "open-hydra", .hosts = o->hosts, .seconds = LEAF_LIFE};
    _cleanup_key_ EVP_PKEY *key = x509_make_key(err);
    if (key == NULL)
        return -1;
    _cleanup_x509_ X509 *c = x509_issue(&request, key, ca, err);
    if (c == NULL)
        return -1;
    if (write_key(o->directory, "server.key", key, err) < 0)
        return -1;
    return write_certificate(o->directory, "server.crt", c, err);
}

int pki_ensure(const struct pki_options *options, struct error **err)
{
    _cleanup_issuer_ struct issuer ca = {0};
    _cleanup_close_ int lock = pki_open(options->directory, &ca, err);

    if (lock < 0)
        return -1;
    if (leaf_is_good(options, &ca))
        return 0;
    if (make_leaf(options, &ca, err) < 0)
        return error_wrap(err, "make the server's certificate");
    return 1;
}

/* --- Admin certificates: what was issued, what is revoked --- */

static int read_serial_list(const char *directory, const char *name, struct buffer *out, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    size_t n = 0;

    if (!path_exists(path))
        return 0;
    _cleanup_free_ char *text = read_file(path, LIST_MAX, &n, err);
    if (text == NULL)
        return -1;
    buffer_append(out, text, n);
    if (n && text[n - 1] != '\n')
        buffer_puts(out, "\n");
    return 0;
}

static int write_list(const char *directory, const char *name, const struct buffer *list, struct error **err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);

    if (list->overflow)
        return error_set(err, REASON_INTERNAL, "%s is full", path);
    /* Not secret, and the server's user reads what root's subcommand writes. */
    return write_file_atomic(path, buffer_str(list), 0644, err);
}

static int remember_admin(const char *directory, X509 *c, struct error **err)
{
    _cleanup_buffer_ struct buffer list = BUFFER_MAX(LIST_MAX);
    _cleanup_free_ char *serial = x509_serial(c);
    char expires[TIMESTAMP_SIZE];

    if (read_serial_list(directory, "admins", &list, err) < 0)
        return -1;
    timestamp(expires, x509_expires_us(c));
    buffer_printf(&list, "%s %s\n", serial, expires);
    return write_list(directory, "admins", &list, err);
}

X509 *pki_issue_admin(const char *directory, const struct issuer *ca, EVP_PKEY *key, struct error **err)
{
    static const struct certificate_request request = {
        .common_name = "open-hydra-admin", .organization = "system:masters", .seconds = LEAF_LIFE};
    _cleanup_x509_ X509 *c = x509_issue(&request, key, ca, err);

    /* Remembered before anybody has it: one that is not in the list could never be revoked. */
    if (c == NULL || remember_admin(directory, c, err) < 0)
        return NULL;
    return steal_ptr(c);
}

static bool has_line(struct str text, struct str serial)
{
    struct str line;

    while (str_split(&text, '\n', &line))
        if (str_equal(str_trim(line), serial))
            return true;
    return false;
}

/* One that was issued: "SERIAL EXPIRY". */
struct issued {
    struct str serial, expires;
};

static bool next_issued(struct str *rest, struct issued *out)
{
    struct str line;

    while (str_split(rest, '\n', &line)) {
        out->expires = str_trim(line);
        if (str_split(&out->expires, ' ', &out->serial) && out->serial.n)
            return true;
    }
    return false;
}

/* What has expired needs no revoking. */
static bool is_live(const struct issued *c)
{
    int64_t at;
    return timestamp_parse(c->expires, &at) < 0 || at > clock_realtime_us();
}

static bool has_expired(struct str admins, struct str serial)
{
    struct issued c;

    while (next_issued(&admins, &c))
        if (str_equal(c.serial, serial))
            return !is_live(&c);
    return false; /* not known, as it was written by hand */
}

static void add_line(struct buffer *list, struct str line)
{
    buffer_add(list, line);
    buffer_puts(list, "\n");
}

/* Both lists without what has expired, or they would grow until they are full. */
static void sift_serials(struct str admins, struct str revoked, const char *kept, struct buffer *live,
                         struct buffer *out)
{
    struct str line;
    struct issued c;

    while (str_split(&revoked, '\n', &line))
        if (str_trim(line).n && !has_expired(admins, str_trim(line)))
            add_line(out, str_trim(line));
    while (next_issued(&admins, &c)) {
        if (!is_live(&c))
            continue;
        buffer_add(live, c.serial);
        buffer_puts(live, " ");
        add_line(live, c.expires);
        if (!str_is(c.serial, kept) && !has_line(buffer_str(out), c.serial))
            add_line(out, c.serial);
    }
}

int pki_revoke_admins_but(const char *directory, X509 *spared, struct error **err)
{
    _cleanup_buffer_ struct buffer admins = BUFFER_MAX(LIST_MAX), revoked = BUFFER_MAX(LIST_MAX),
                                   live = BUFFER_MAX(LIST_MAX), now = BUFFER_MAX(LIST_MAX);
    _cleanup_free_ char *kept = x509_serial(spared);

    if (read_serial_list(directory, "admins", &admins, err) < 0 ||
        read_serial_list(directory, "revoked", &revoked, err) < 0)
        return -1;
    sift_serials(buffer_str(&admins), buffer_str(&revoked), kept, &live, &now);
    /* In this order: a revoked one that is in no list of issued ones would never be known to have expired. */
    return write_list(directory, "revoked", &now, err) < 0 ? -1 : write_list(directory, "admins", &live, err);
}

bool pki_is_revoked(const char *directory, X509 *certificate)
{
    _cleanup_buffer_ struct buffer revoked = BUFFER_MAX(LIST_MAX);
    _cleanup_free_ char *serial = x509_serial(certificate);

    return read_serial_list(directory, "revoked", &revoked, NULL) < 0 ||
           has_line(buffer_str(&revoked), str_from(serial));
}
