#pragma once

#include <stdbool.h>

/* The code of the link by which the first administrator is made. It lives in memory alone: a new start prints a new
 * link, and the old one is worth nothing. Any thread. */
struct setup_code;
struct setup_code *setup_code_new(void);
void setup_code_free(struct setup_code *s);

/* The one that is good now; made where there is none. The caller frees. */
char *setup_code_make(struct setup_code *s);
bool setup_code_fits(struct setup_code *s, const char *code);
/* The first administrator exists: none is good any more. */
void setup_code_end(struct setup_code *s);
