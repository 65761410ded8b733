#pragma once

#include <stddef.h>

/* A descriptor that becomes readable when one of them comes; they are blocked from then on. */
int signals_watch(const int *wanted, size_t n);
/* The one that came; 0: none within that time (-1: without an end). */
int signals_next(int fd, int timeout_ms);
