#include "runner/gpu/xid.h"

#include <stddef.h>

#include "base/attributes.h"

/*
 * After these a GPU serves nobody until it was reset. From NVIDIA's catalogue («Analyzing Xid Errors with the Xid
 * Catalog», docs.nvidia.com/deploy/xid-errors: immediate action RESET_GPU or RESTART_BM).
 *
 * Those that a program causes are not among them, or a student could take a GPU from the others: 13, 31, 43, 45, 68,
 * 109, which NVIDIA's device plugin for Kubernetes calls application errors too (internal/rm/health.go); 8, 32 and 94
 * end the program alone.
 */
static const struct {
    unsigned number;
    const char *text;
} resets[] = {
    {46, "it stopped processing"},
    {48, "an error in its memory that could not be corrected"},
    {62, "its power controller halted"},
    {64, "a broken row of its memory could not be replaced"},
    {74, "an error of its NVLink"},
    {79, "it has fallen off the bus"},
    {95, "an error in its memory that could not be contained"},
    {110, "a fault of its security processor"},
    {119, "its system processor does not answer"},
    {120, "an error of its system processor"},
    {136, "an error in its links"},
    {140, "an error in its memory from which it did not recover"},
    {143, "it could not be initialised"},
};

const char *xid_needs_reset(unsigned long long xid)
{
    for (size_t i = 0; i < ARRAY_SIZE(resets); i++)
        if (resets[i].number == xid)
            return resets[i].text;
    return NULL;
}
