/* What stdlib.h and string.h promise. It asks nothing of a system, so the component imports nothing.
 *
 * Memory is handed out and never taken back: every call of the policy begins with a new instance,
 * which is thrown away after it. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE ((size_t)65536)
#define ALIGN ((size_t)16)

/* Where the linker's data ends. */
extern unsigned char __heap_base;

static uintptr_t next;

/* Every piece begins with its size, which `realloc` needs. */
void *malloc(size_t size) {
    if (next == 0) {
        next = ((uintptr_t)&__heap_base + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
    }
    if (size > SIZE_MAX - 2 * ALIGN - next) {
        abort();
    }
    size_t taken = ((size + ALIGN - 1) & ~(ALIGN - 1)) + ALIGN;
    uintptr_t end = next + taken;
    size_t have = __builtin_wasm_memory_size(0) * PAGE;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == SIZE_MAX) {
        abort();
    }
    *(size_t *)next = size;
    void *piece = (void *)(next + ALIGN);
    next = end;
    return piece;
}

void *calloc(size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) {
        abort();
    }
    return memset(malloc(count * size), 0, count * size);
}

void *realloc(void *old, size_t size) {
    if (old == NULL) {
        return malloc(size);
    }
    size_t had = *(size_t *)((uintptr_t)old - ALIGN);
    if (size <= had) {
        return old;
    }
    return memcpy(malloc(size), old, had);
}

void free(void *old) {
    (void)old;
}

_Noreturn void abort(void) {
    __builtin_trap();
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    return memmove(to, from, size);
}

void *memmove(void *to, const void *from, size_t size) {
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t < f) {
        for (size_t i = 0; i < size; i++) {
            t[i] = f[i];
        }
    } else {
        for (size_t i = size; i > 0; i--) {
            t[i - 1] = f[i - 1];
        }
    }
    return to;
}

void *memset(void *to, int byte, size_t size) {
    unsigned char *t = to;
    for (size_t i = 0; i < size; i++) {
        t[i] = (unsigned char)byte;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < size; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

int strcmp(const char *a, const char *b) {
    size_t x = strlen(a), y = strlen(b);
    return memcmp(a, b, (x < y ? x : y) + 1);
}
