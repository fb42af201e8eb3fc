/* See probe.h. */
#include "runtime/probe.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

/* The threads wait until all of them exist. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    int open;
} probe_gate;

static void *wait_at(void *context) {
    probe_gate *gate = context;
    pthread_mutex_lock(&gate->lock);
    while (!gate->open) pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return NULL;
}

/* The stack size of OMP_STACKSIZE or GOMP_STACKSIZE in bytes, or 0: the system's default. The
   format is a number and B, K (default), M or G; blanks are allowed. */
static size_t stack_size(void) {
    const char *text = getenv("OMP_STACKSIZE");
    if (!text) text = getenv("GOMP_STACKSIZE");
    if (!text) return 0;
    char *end;
    const unsigned long long number = strtoull(text, &end, 10);
    if (end == text || number > (unsigned long long)1 << 40) return 0;
    while (*end == ' ') end++;
    const int shift = *end == 'B' || *end == 'b'   ? 0
                      : *end == 'M' || *end == 'm' ? 20
                      : *end == 'G' || *end == 'g' ? 30
                                                   : 10;
    return number > SIZE_MAX >> shift ? 0 : (size_t)number << shift;
}

int fd_probe_threads(int wanted) {
    pthread_t *threads = malloc((size_t)wanted * sizeof *threads);
    if (!threads) return 0;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        free(threads);
        return 0;
    }
    const size_t stack = stack_size();
    if (stack) pthread_attr_setstacksize(&attributes, stack); /* too small a size is ignored */
    probe_gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    int created = 0;
    while (created < wanted && pthread_create(&threads[created], &attributes, wait_at, &gate) == 0)
        created++;
    pthread_mutex_lock(&gate.lock);
    gate.open = 1;
    pthread_cond_broadcast(&gate.opened);
    pthread_mutex_unlock(&gate.lock);
    for (int i = 0; i < created; i++) pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    free(threads);
    return created;
}
#else
int fd_probe_threads(int wanted) { return wanted; }
#endif
