#include "base/secret.h"

#include <sodium.h>
#include <string.h>

void secret_free(char *secret)
{
    if (secret)
        sodium_memzero(secret, strlen(secret));
    free(secret);
}
