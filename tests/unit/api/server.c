/* The tests' kind behind a real socket until standard input ends: for clients that are programs (kubectl.py). */
#include <stdio.h>
#include <unistd.h>

#include "unit/api/fixture.h"

int main(void)
{
    struct fixture f = {0};
    char piece[64];

    fixture_start(&f);
    printf("%s\n", f.socket);
    fflush(stdout);
    while (read(STDIN_FILENO, piece, sizeof(piece)) > 0)
        ;
    fixture_stop(&f);
    return 0;
}
