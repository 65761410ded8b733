#include "server/accounts/password.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"

/*
 * argon2id (RFC 9106) with 64 MiB and two passes: 70 ms on one core of a 2020s machine. It is fixed here and not a
 * setting: a hash carries its own parameters, so that a later change leaves older hashes valid.
 */
#define PASSES 2
#define MEMORY ((size_t)64 << 20)

/* Whatever threads callers have: at most this many at once, so that a class logging in takes 256 MiB and not gigabytes.
 */
#define AT_ONCE 4

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static unsigned running;

static void initialise_sodium(void)
{
    if (sodium_init() < 0)
        abort();
}

static void enter_hashing(void)
{
    pthread_once(&once, initialise_sodium);
    LOCK_SCOPE(&lock);
    while (running == AT_ONCE)
        pthread_cond_wait(&left, &lock);
    running++;
}

static void leave_hashing(void)
{
    LOCK_SCOPE(&lock);
    running--;
    pthread_cond_signal(&left);
}

char *password_hash(const char *password)
{
    char *out = xmalloc(crypto_pwhash_STRBYTES);

    enter_hashing();
    int result = crypto_pwhash_str_alg(out, password, strlen(password), PASSES, MEMORY, crypto_pwhash_ALG_ARGON2ID13);
    leave_hashing();
    if (result < 0) {
        log_error("no memory for a password hash (%zu MiB)", MEMORY >> 20);
        abort();
    }
    return out;
}

bool password_verify(const char *hash, const char *password)
{
    /* Who is unknown takes as long as who is known: hashing costs the same as verifying. */
    if (hash == NULL) {
        free(password_hash(password));
        return false;
    }
    enter_hashing();
    int result = crypto_pwhash_str_verify(hash, password, strlen(password));
    leave_hashing();
    return result == 0;
}

static bool has_control_character(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

/* In UTF-8 (RFC 3629). */
static size_t count_utf8(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

int password_check_given(const char *password, const char *field, struct error **err)
{
    if (count_utf8(password) < PASSWORD_MIN)
        return error_add_cause(err, field, "FieldValueInvalid", "must have at least %d characters", PASSWORD_MIN);
    if (strlen(password) > PASSWORD_MAX)
        return error_add_cause(err, field, "FieldValueTooLong", "must have at most %d bytes", PASSWORD_MAX);
    if (has_control_character(password))
        return error_add_cause(err, field, "FieldValueInvalid", "must not hold control characters");
    return 0;
}

int password_check(const char *password, const char *field, struct error **err)
{
    if (password_check_given(password, field, err) < 0)
        return -1;
    if (strcmp(password, WELL_KNOWN_PASSWORD) == 0)
        return error_add_cause(err, field, "FieldValueInvalid", "is publicly known: choose another one");
    return 0;
}
