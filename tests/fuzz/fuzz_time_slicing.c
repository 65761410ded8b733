/* What is written for NVIDIA's device plugin about the sharing of GPUs: whoever reads it gets a number within bounds. */
#include <stdint.h>
#include <stdlib.h>

#include "config/time_slicing.h"
#include "fuzz/fuzz.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    struct error *err = NULL;
    struct time_slicing *s = time_slicing_parse((struct str){(const char *)data, size}, "file", &err);

    if ((s == NULL) == (err == NULL))
        abort();
    unsigned n = time_slicing_replicas(s, "nvidia.com/gpu", "NVIDIA A100-SXM4-40GB");
    if (n < 1 || n > TIME_SLICING_MAX)
        abort();
    time_slicing_free(s);
    error_free(err);
}
