#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes golden_crypto.txt, the values that test_golden_crypto.c compares with.

Everything is computed here from the standards alone, in plain Python integers: AES (FIPS 197),
ChaCha20 and Poly1305 (RFC 8439), X25519 (RFC 7748), ristretto255 (RFC 9496), HKDF (RFC 5869). No
library of the product takes part, so an error there cannot hide here.

    python3 golden_crypto.py > golden_crypto.txt
"""
import hashlib
import hmac
import struct
from fractions import Fraction
from math import floor

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493


# AES-256 in counter mode

def aes_tables():
    sbox, x, y = [0] * 256, 1, 1
    for _ in range(255):
        x ^= (x << 1) ^ (0x11B if x & 0x80 else 0)  # times 3
        x &= 0xFF
        y ^= y << 1
        y ^= y << 2
        y ^= y << 4
        y &= 0xFF
        y ^= 0x09 if y & 0x80 else 0  # divided by 3
        sbox[x] = y ^ rotl8(y, 1) ^ rotl8(y, 2) ^ rotl8(y, 3) ^ rotl8(y, 4) ^ 0x63
    sbox[0] = 0x63
    return sbox


def rotl8(value, count):
    return ((value << count) | (value >> (8 - count))) & 0xFF


SBOX = aes_tables()


def double(value):
    return ((value << 1) ^ (0x11B if value & 0x80 else 0)) & 0xFF


def aes256_round_keys(key):
    words, rcon = [list(key[4 * i:4 * i + 4]) for i in range(8)], 1
    for i in range(8, 60):
        word = list(words[i - 1])
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = double(rcon)
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    return [sum(words[4 * r:4 * r + 4], []) for r in range(15)]


def aes256_block(round_keys, block):
    state = [a ^ b for a, b in zip(block, round_keys[0])]
    for r in range(1, 15):
        state = [SBOX[state[4 * ((c + k) % 4) + k]]
                 for c in range(4) for k in range(4)]
        if r < 14:
            mixed = []
            for c in range(4):
                a = state[4 * c:4 * c + 4]
                mixed += [double(a[k]) ^ double(a[(k + 1) % 4]) ^ a[(k + 1) % 4]
                          ^ a[(k + 2) % 4] ^ a[(k + 3) % 4] for k in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, round_keys[r])]
    return bytes(state)


def mask_stream(key, start, length):
    round_keys, out = aes256_round_keys(key), b""
    for block in range(start // 16, (start + length + 15) // 16):
        out += aes256_block(round_keys, block.to_bytes(16, "big"))
    return out[start % 16:start % 16 + length]


# ChaCha20, XChaCha20-Poly1305

def chacha_rounds(state):
    x = list(state)

    def quarter(a, b, c, d):
        for up, by, turn in ((a, b, 16), (c, d, 12), (a, b, 8), (c, d, 7)):
            x[up] = (x[up] + x[by]) & 0xFFFFFFFF
            other = {(a, b): d, (c, d): b}[(up, by)]
            x[other] ^= x[up]
            x[other] = ((x[other] << turn) | (x[other] >> (32 - turn))) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return x


CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


def chacha20_block(key, last_words):
    state = [*CONSTANTS, *struct.unpack("<8I", key), *last_words]
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF
                                 for a, b in zip(chacha_rounds(state), state)))


def stream(key, start, length):
    """crypto/random.h: 64-bit block counter, zero nonce."""
    out = b""
    for block in range(start // 64, (start + length + 63) // 64):
        out += chacha20_block(key, (block & 0xFFFFFFFF, block >> 32, 0, 0))
    return out[start % 64:start % 64 + length]


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s, total = int.from_bytes(key[16:], "little"), 0
    for i in range(0, len(message), 16):
        total = (total + int.from_bytes(message[i:i + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((total + s) & (2**128 - 1)).to_bytes(16, "little")


def xchacha20_poly1305(key, nonce, aad, plain):
    words = chacha_rounds([*CONSTANTS, *struct.unpack("<8I", key),
                           *struct.unpack("<4I", nonce[:16])])
    subkey = struct.pack("<8I", *words[:4], *words[12:])
    last = struct.unpack("<3I", bytes(4) + nonce[16:])
    pad = b"".join(chacha20_block(subkey, (1 + i, *last)) for i in range(len(plain) // 64 + 1))
    sealed = bytes(a ^ b for a, b in zip(plain, pad))
    text = aad + bytes(-len(aad) % 16) + sealed + bytes(-len(sealed) % 16)
    text += struct.pack("<QQ", len(aad), len(sealed))
    return sealed + poly1305(chacha20_block(subkey, (0, *last))[:32], text)


# Curves

def inverse(value):
    return pow(value, P - 2, P)


def x25519(scalar, u):
    k = int.from_bytes(scalar, "little")
    k = (k & ~7 & ~(1 << 255)) | (1 << 254)
    x1 = int.from_bytes(u, "little")
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in reversed(range(255)):
        bit = k >> t & 1
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a, c * b
        x3, z3 = (da + cb)**2 % P, x1 * (da - cb)**2 % P
        e = a * a - b * b
        x2, z2 = a * a * b * b % P, e * (a * a + 121665 * e) % P
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * inverse(z2) % P).to_bytes(32, "little")


D = -121665 * inverse(121666) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def absolute(value):
    value %= P
    return P - value if value & 1 else value


def sqrt_ratio(u, v):
    """RFC 9496, 4.2: (was u/v square, its root or that of i u/v)."""
    r = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    check, u = v * r * r % P, u % P
    if check in ((-u) % P, -u * SQRT_M1 % P):
        r = r * SQRT_M1 % P
    return check in (u, (-u) % P), absolute(r)


INVSQRT_A_MINUS_D = sqrt_ratio(1, -1 - D)[1]


def edwards_add(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * inverse(1 + t) % P, (y1 * y2 + x1 * x2) * inverse(1 - t) % P)


def edwards_multiply(scalar, point):
    total = (0, 1)
    for bit in bin(scalar)[2:]:
        total = edwards_add(total, total)
        if bit == "1":
            total = edwards_add(total, point)
    return total


def base_point():
    y = 4 * inverse(5) % P
    return sqrt_ratio(y * y - 1, D * y * y + 1)[1], y


def ristretto_encode(point):
    """RFC 9496, 4.3.2 with z = 1."""
    x, y = point
    u1, u2 = (1 + y) * (1 - y) % P, x * y % P
    inv = sqrt_ratio(1, u1 * u2 * u2)[1]
    den1, den2 = inv * u1 % P, inv * u2 % P
    z_inv = den1 * den2 * x * y % P
    den = den2
    if x * y * z_inv % P & 1:
        x, y, den = y * SQRT_M1 % P, x * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    if x * z_inv % P & 1:
        y = -y % P
    return absolute(den * (1 - y)).to_bytes(32, "little")


# The product's constructions, as its headers define them

def hkdf(ikm, salt, tag, fields):
    prk = hmac.new(salt, ikm, hashlib.sha256).digest()
    info = tag.ljust(32, b"\0") + fields
    return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()


def key_of(fill):
    return bytes((fill + k) & 0xFF for k in range(32))


def draw_scalars(key, count):
    return [int.from_bytes(stream(key, 64 * k, 64), "little") % L for k in range(count)]


def quantise(bits, exponent, key, values, first):
    zero, scale, out = 2**(bits - 1) - 1, Fraction(2)**exponent, []
    for k, value in enumerate(values):
        y = max(-scale, min(scale, Fraction(value))) * zero / scale
        word = int.from_bytes(stream(key, 8 * (first + k), 8), "little")
        out.append(floor(y) + (Fraction(word >> 11, 2**53) < y - floor(y)) + zero)
    return out


def pack(bits, values):
    number = sum((v % 2**bits) << (bits * e) for e, v in enumerate(values))
    return number.to_bytes((len(values) * bits + 7) // 8, "little")


SESSION, T0, T1 = b"\x51" * 32, b"\x70" * 32, b"\x71" * 32
PLACES = (0, 3, 7)
BITS, EXPONENT, FIRST, COUNT = 16, -3, 4090, 40
LIST_U32 = "<%dI" % COUNT


def show(name, value):
    print(name, value.hex())


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def update(member):
    """Any values; some clip, some are exact."""
    values = [float32(((37 * k + 11 * member) % 101 - 50) / 390) for k in range(COUNT)]
    values[0], values[1], values[2], values[3] = 0.0, 0.125, -0.125, 1e-30
    return values


def masks(width, member, keys):
    total = [0] * COUNT
    for key, sign in keys[member]:
        raw = mask_stream(key, width * FIRST, width * COUNT)
        for e in range(COUNT):
            total[e] += sign * int.from_bytes(raw[width * e:width * (e + 1)], "little")
    return total


def masking():
    secrets = [draw_scalars(key_of(10 * m + 1), 2) for m in range(3)]
    keys = [[], [], []]
    for m, (s, b) in enumerate(secrets):
        show(f"point.{m}", ristretto_encode(edwards_multiply(s, base_point())))
        own = hkdf(b.to_bytes(32, "little"), SESSION,
                   b"rondo/v1 secagg self mask", struct.pack("<I", PLACES[m]) + T1)
        show(f"self_key.{m}", own)
        keys[m].append((own, 1))
        for other in range(m):
            shared = edwards_multiply(s * secrets[other][0] % L, base_point())
            pair = hkdf(ristretto_encode(shared), SESSION,
                        b"rondo/v1 secagg pair mask", struct.pack("<II", PLACES[other], PLACES[m]) + T1)
            show(f"pair_key.{other}.{m}", pair)
            keys[other].append((pair, 1))
            keys[m].append((pair, -1))
    total = [0] * COUNT
    for m in range(3):
        values = update(m)
        rounded = quantise(BITS, EXPONENT, key_of(100 + m), values, FIRST)
        total = [a + b for a, b in zip(total, rounded)]
        show(f"values.{m}", struct.pack("<%df" % COUNT, *values))
        show(f"quantised.{m}", struct.pack(LIST_U32, *rounded))
        for width, bits in ((4, 19), (8, 45)):
            masked = [a + b for a, b in zip(rounded, masks(width, m, keys))]
            show(f"masked_u{8 * width}.{m}", pack(bits, masked))
    show("sum", struct.pack(LIST_U32, *total))
    mean = [float((v - 3 * 32767) * 0.125) / (3 * 32767.0) for v in total]
    show("mean", struct.pack("<%df" % COUNT, *mean))


def sharing():
    secret, = draw_scalars(key_of(1), 1)
    a1, a2 = draw_scalars(key_of(200), 2)
    for place in PLACES + (1023,):
        x = place + 1
        share = (secret + a1 * x + a2 * x * x) % L
        show(f"share.{place}", share.to_bytes(32, "little"))
        show(f"share_point.{place}", ristretto_encode(edwards_multiply(share, base_point())))
    for k, a in enumerate((a1, a2), 1):
        show(f"coefficient.{k}", ristretto_encode(edwards_multiply(a, base_point())))


def channel():
    nine = (9).to_bytes(32, "little")
    author, recipient = stream(key_of(50), 0, 32), stream(key_of(51), 0, 32)
    show("channel_public", x25519(recipient, nine))
    ends = struct.pack("<II", 0, 3)
    key = hkdf(x25519(author, x25519(recipient, nine)), SESSION, b"rondo/v1 channel key", ends + T0)
    aad = b"rondo/v1 channel".ljust(32, b"\0") + SESSION + T0 + ends
    show("sealed", xchacha20_poly1305(key, bytes(24), aad, b"two shares and their places"))


def main():
    print("# Written by golden_crypto.py; compared by test_golden_crypto.c.")
    masking()
    sharing()
    channel()


main()
