/* SPDX-License-Identifier: Apache-2.0 */
#include "trainer/kernels/cuda/emulated/cudafibre.h"

#include "base/guard.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1 /* clang's name for what gcc defines */
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
/* RN_CUDAFIBRE_UCONTEXT chooses the portable switch on x86-64 too, to test it. */
#if defined(__x86_64__) && !defined(RN_CUDAFIBRE_UCONTEXT)
#define BY_HAND 1
#else
#define BY_HAND 0
#include <ucontext.h>
#endif

enum { GUARD_BYTES = 64, GUARD = 0x5a };

static unsigned char *stacks;
static int running = -1;
static void (*bodies[RN_CUDAFIBRE_MAX])(void);

static unsigned char *stack_of(int which)
{
    return stacks + (size_t)which * RN_CUDAFIBRE_STACK;
}

/* ---- AddressSanitizer wants to know which stack is current ---- */

#if defined(__SANITIZE_ADDRESS__)
static const void *main_stack;
static size_t main_stack_size;

static void announce_fibre(void **kept, int which)
{
    __sanitizer_start_switch_fiber(kept, stack_of(which), RN_CUDAFIBRE_STACK);
}
static void announce_main(void **kept)
{
    __sanitizer_start_switch_fiber(kept, main_stack, main_stack_size);
}
static void arrived_in_main(void *kept)
{
    __sanitizer_finish_switch_fiber(kept, NULL, NULL);
}
static void arrived_in_fibre(void *kept)
{
    __sanitizer_finish_switch_fiber(kept, &main_stack, &main_stack_size);
}
static void forget_stack(int which)
{
    __asan_unpoison_memory_region(stack_of(which), RN_CUDAFIBRE_STACK);
}
#else
static void announce_fibre(void **kept, int which)
{
    (void)kept;
    (void)which;
}
static void announce_main(void **kept)
{
    (void)kept;
}
static void arrived_in_main(void *kept)
{
    (void)kept;
}
static void arrived_in_fibre(void *kept)
{
    (void)kept;
}
static void forget_stack(int which)
{
    (void)which;
}
#endif

/* ---- the switch itself ---- */

static void fibre_main(void);

#if BY_HAND
static void *main_pointer;
static void *pointers[RN_CUDAFIBRE_MAX];

/* Saves the callee's registers on this stack and takes up the other one. */
void rn_cudafibre_switch(void **save, void *load);
__asm__(".text\n"
        ".globl rn_cudafibre_switch\n"
        ".hidden rn_cudafibre_switch\n"
        ".type rn_cudafibre_switch, @function\n"
        "rn_cudafibre_switch:\n"
        "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  mov %rsp, (%rdi)\n"
        "  mov %rsi, %rsp\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
        "  ret\n"
        ".size rn_cudafibre_switch, . - rn_cudafibre_switch\n");

static void prepare(int which)
{
    /* Six registers, the address to return to, and one word so that the stack is aligned as if
     * fibre_main had been called. */
    void **top = (void **)(void *)(stack_of(which) + RN_CUDAFIBRE_STACK - 16);
    void (*entry)(void) = fibre_main;
    *--top = NULL;
    top--;
    memcpy(top, &entry, sizeof entry);
    top -= 6;
    memset(top, 0, 6 * sizeof *top);
    pointers[which] = top;
}
static void switch_to_fibre(int which)
{
    rn_cudafibre_switch(&main_pointer, pointers[which]);
}
static void switch_to_main(int which)
{
    rn_cudafibre_switch(&pointers[which], main_pointer);
}
#else
static ucontext_t main_context;
static ucontext_t contexts[RN_CUDAFIBRE_MAX];

static void prepare(int which)
{
    ucontext_t *context = &contexts[which];
    RN_BUG_IF(getcontext(context) != 0);
    context->uc_stack.ss_sp = stack_of(which);
    context->uc_stack.ss_size = RN_CUDAFIBRE_STACK;
    context->uc_link = NULL;
    makecontext(context, fibre_main, 0);
}
static void switch_to_fibre(int which)
{
    RN_BUG_IF(swapcontext(&main_context, &contexts[which]) != 0);
}
static void switch_to_main(int which)
{
    RN_BUG_IF(swapcontext(&contexts[which], &main_context) != 0);
}
#endif

static void fibre_main(void)
{
    arrived_in_fibre(NULL);
    bodies[running]();
    announce_main(NULL); /* this stack is left for good */
    switch_to_main(running);
    RN_BUG_IF(true);
}

void rn_cudafibre_start(int which, void (*body)(void))
{
    RN_BUG_IF(which < 0 || which >= RN_CUDAFIBRE_MAX);
    if (stacks == NULL) {
        void *memory = mmap(NULL, (size_t)RN_CUDAFIBRE_MAX * RN_CUDAFIBRE_STACK,
                            PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        RN_BUG_IF(memory == MAP_FAILED);
        stacks = memory;
    }
    forget_stack(which); /* whoever used it last may never have returned */
    memset(stack_of(which), GUARD, GUARD_BYTES);
    bodies[which] = body;
    prepare(which);
}

void rn_cudafibre_resume(int which)
{
    void *kept = NULL;
    running = which;
    announce_fibre(&kept, which);
    switch_to_fibre(which);
    arrived_in_main(kept);
}

void rn_cudafibre_yield(void)
{
    void *kept = NULL;
    announce_main(&kept);
    switch_to_main(running);
    arrived_in_fibre(kept);
}

bool rn_cudafibre_intact(int which)
{
    const unsigned char *guard = stack_of(which);
    for (int i = 0; i < GUARD_BYTES; i++) {
        if (guard[i] != GUARD) {
            return false;
        }
    }
    return true;
}
