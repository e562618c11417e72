/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the instructions of AMX on a processor without them: a handler of SIGILL reads the
 * instruction that the processor refused, does what Intel's manual says (Software Developer's
 * Manual, volume 2, LDTILECFG to TILEZERO), and goes on behind it. Knows the VEX forms that
 * compilers emit for tile registers 0 .. 7; any other illegal instruction ends the process. x86-64
 * Linux alone. Shares nothing with cpu_tileops.h.
 */
#ifndef RN_TESTS_UNIT_TRAINER_TILEINSTRUCTIONS_H
#define RN_TESTS_UNIT_TRAINER_TILEINSTRUCTIONS_H

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

static _Thread_local struct {
    bool configured;
    uint8_t rows[8];
    uint16_t row_bytes[8];
    uint8_t data[8][16][64];
    unsigned long done; /* instructions */
} tile_machine;

/* Registers in the order of their numbers in instructions. */
static const int tile_registers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                       REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                       REG_R12, REG_R13, REG_R14, REG_R15};

struct tile_instruction {
    uint8_t map, prefix, opcode, mod, reg, rm, vvvv;
    bool memory;
    uint64_t base, index; /* values; index times its scale */
    size_t length;
};

static void tile_give_up(const uint8_t *at)
{
    static const char text[] = "illegal instruction that is none of AMX\n";
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)!write(STDERR_FILENO, at, 8);
    _exit(99);
}

static int32_t tile_displacement(const uint8_t *at)
{
    int32_t out;
    memcpy(&out, at, sizeof(out));
    return out;
}

/* Address bytes from ModRM on; `at` is behind the opcode. */
static void tile_operand(struct tile_instruction *i, const greg_t *r, const uint8_t *start,
                         const uint8_t *at, uint8_t rex_x, uint8_t rex_b)
{
    const uint8_t modrm = *at++;
    i->mod = modrm >> 6;
    i->reg = (modrm >> 3) & 7;
    i->rm = modrm & 7;
    i->memory = i->mod != 3;
    if (i->memory && i->rm == 4) {
        const uint8_t sib = *at++;
        const unsigned index = ((sib >> 3) & 7u) | rex_x;
        i->index = index == 4 ? 0 : (uint64_t)r[tile_registers[index]] << (sib >> 6);
        if ((sib & 7) == 5 && i->mod == 0) {
            i->base = (uint64_t)(int64_t)tile_displacement(at);
            at += 4;
        } else {
            i->base = (uint64_t)r[tile_registers[(sib & 7u) | rex_b]];
        }
    } else if (i->memory && i->rm == 5 && i->mod == 0) { /* from the next instruction */
        i->base = (uint64_t)(uintptr_t)(at + 4) + (uint64_t)(int64_t)tile_displacement(at);
        at += 4;
    } else if (i->memory) {
        i->base = (uint64_t)r[tile_registers[i->rm | rex_b]];
    }
    if (i->mod == 1) {
        i->base += (uint64_t)(int64_t)(int8_t)*at++;
    } else if (i->mod == 2) {
        i->base += (uint64_t)(int64_t)tile_displacement(at);
        at += 4;
    }
    i->length = (size_t)(at - start);
}

static bool tile_decode(const uint8_t *at, const greg_t *r, struct tile_instruction *out)
{
    *out = (struct tile_instruction){0};
    if (at[0] != 0xc4 || (at[2] & 0x84) != 0) { /* three-byte VEX, W 0, 128 bits */
        return false;
    }
    out->map = at[1] & 0x1f;
    out->vvvv = (uint8_t)(~at[2] >> 3) & 0xf;
    out->prefix = at[2] & 3; /* none, 66, F3, F2 */
    out->opcode = at[3];
    tile_operand(out, r, at, at + 4, (at[1] & 0x40) != 0 ? 0 : 8, (at[1] & 0x20) != 0 ? 0 : 8);
    return out->map == 2;
}

static void tile_configure(const uint8_t *config)
{
    tile_machine.configured = config[0] == 1 && config[1] == 0;
    memcpy(tile_machine.row_bytes, config + 16, sizeof(tile_machine.row_bytes));
    memcpy(tile_machine.rows, config + 48, sizeof(tile_machine.rows));
    memset(tile_machine.data, 0, sizeof(tile_machine.data));
}

static void tile_move(const struct tile_instruction *i, bool store)
{
    const unsigned t = i->reg;
    for (size_t row = 0; row < tile_machine.rows[t]; row++) {
        uint8_t *memory = (uint8_t *)(uintptr_t)(i->base + row * i->index);
        uint8_t *tile = tile_machine.data[t][row];
        memcpy(store ? memory : tile, store ? tile : memory, tile_machine.row_bytes[t]);
    }
}

static float tile_value(const uint8_t *at)
{
    uint16_t half;
    memcpy(&half, at, sizeof(half));
    const uint32_t bits = (uint32_t)half << 16;
    float out;
    memcpy(&out, &bits, sizeof(out));
    return fpclassify(out) == FP_SUBNORMAL ? copysignf(0.0f, out) : out;
}

static float tile_flushed(float x)
{
    return fpclassify(x) == FP_SUBNORMAL ? copysignf(0.0f, x) : x;
}

static void tile_multiply(unsigned s, unsigned l, unsigned r)
{
    for (size_t m = 0; m < tile_machine.rows[s]; m++) {
        for (size_t n = 0; n < tile_machine.row_bytes[s] / 4u; n++) {
            float part[2] = {0.0f, 0.0f};
            for (size_t k = 0; k < tile_machine.row_bytes[l] / 4u; k++) {
                for (size_t odd = 0; odd < 2; odd++) {
                    const float left = tile_value(tile_machine.data[l][m] + 4 * k + 2 * odd);
                    const float right = tile_value(tile_machine.data[r][k] + 4 * n + 2 * odd);
                    part[odd] = tile_flushed(fmaf(left, right, part[odd]));
                }
            }
            float sum;
            memcpy(&sum, tile_machine.data[s][m] + 4 * n, sizeof(sum));
            sum = tile_flushed(tile_flushed(sum) + tile_flushed(part[0] + part[1]));
            memcpy(tile_machine.data[s][m] + 4 * n, &sum, sizeof(sum));
        }
    }
}

/* False when it is no instruction of AMX, or tiles are not configured. */
static bool tile_perform(const struct tile_instruction *i)
{
    enum { NONE, P66, PF3, PF2 };
    if (i->opcode == 0x49 && i->prefix == NONE && i->memory) {
        tile_configure((const uint8_t *)(uintptr_t)i->base);
        return true;
    }
    if (i->opcode == 0x49 && i->prefix == NONE && i->reg == 0 && i->rm == 0) {
        memset(&tile_machine.data, 0, sizeof(tile_machine.data));
        tile_machine.configured = false; /* TILERELEASE */
        return true;
    }
    if (!tile_machine.configured) {
        return false;
    }
    if (i->opcode == 0x49 && i->prefix == PF2 && !i->memory) {
        memset(tile_machine.data[i->reg], 0, sizeof(tile_machine.data[0]));
        return true;
    }
    if (i->opcode == 0x4b && i->memory && i->rm == 4 && i->prefix != NONE) {
        tile_move(i, i->prefix == PF3);
        return true;
    }
    if (i->opcode == 0x5c && i->prefix == PF3 && !i->memory) {
        const unsigned all[] = {i->reg, i->rm, i->vvvv};
        if (all[0] == all[1] || all[0] == all[2] || all[1] == all[2]) {
            return false; /* the processor refuses it too */
        }
        tile_multiply(i->reg, i->rm, i->vvvv);
        return true;
    }
    return false;
}

static void tile_trap(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *at = (const uint8_t *)(uintptr_t)r[REG_RIP];
    struct tile_instruction instruction;
    if (!tile_decode(at, r, &instruction) || !tile_perform(&instruction)) {
        tile_give_up(at);
    }
    tile_machine.done++;
    r[REG_RIP] += (greg_t)instruction.length;
}

static void tile_instructions_emulate(void)
{
    struct sigaction action = {.sa_sigaction = tile_trap, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGILL, &action, NULL);
}

#endif
