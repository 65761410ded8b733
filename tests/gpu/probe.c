/* What CUDA says in an environment: first words, then a context and so many MiB held for so many seconds. Printed, as the
 * environment's log is what a test sees. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CALL(name, ...)                                                                                                \
    do {                                                                                                               \
        int (*call)() = dlsym(cuda, #name);                                                                            \
        int rc = call ? call(__VA_ARGS__) : -1;                                                                        \
        printf("probe: " #name " %d\n", rc);                                                                           \
        fflush(stdout);                                                                                                \
        if (rc)                                                                                                        \
            return 1;                                                                                                  \
    } while (0)

int main(int argc, char **argv)
{
    void *cuda = dlopen("libcuda.so.1", RTLD_NOW), *context;
    unsigned long long memory;
    int count = 0, device = 0;

    if (cuda == NULL) {
        printf("probe: %s\n", dlerror());
        return 1;
    }
    CALL(cuInit, 0);
    CALL(cuDeviceGetCount, &count);
    printf("probe: %d GPUs as user %d\n", count, (int)getuid());
    CALL(cuDeviceGet, &device, 0);
    CALL(cuCtxCreate_v2, &context, 0, device);
    CALL(cuMemAlloc_v2, &memory, (size_t)atoi(argv[1]) << 20);
    printf("probe: holds %s MiB\n", argv[1]);
    fflush(stdout);
    sleep(argc > 2 ? (unsigned)atoi(argv[2]) : 0);
    return 0;
}
