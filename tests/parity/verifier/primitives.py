# SPDX-License-Identifier: Apache-2.0
"""What crypto/secagg/PROTOCOL.md builds on: ristretto255 (RFC 9496), Shamir, Feldman, HKDF, XChaCha20-Poly1305, mask
streams, packing. Ed25519, X25519, AES and ChaCha20-Poly1305 are those of the package `cryptography`. Nothing here is
constant in time."""
import functools
import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # the order of ristretto255
memoised = functools.lru_cache(maxsize=None)


def u32(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


def u64(number):
    return struct.pack("<Q", number)


def tagged_hash(tag, *parts):
    return hashlib.sha256(tag.encode().ljust(32, b"\0") + b"".join(parts)).digest()


def H(name, *parts):
    return tagged_hash("rondo/v1 secagg " + name, *parts)


def hkdf(ikm, salt, name, fields=b""):
    key = hmac.new(salt, ikm, hashlib.sha256).digest()
    info = ("rondo/v1 " + name).encode().ljust(32, b"\0") + fields
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


# Signatures and key agreement

@memoised
def signed_by(key, tag, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, tag.encode().ljust(32, b"\0") + message)
        return True
    except (InvalidSignature, ValueError):
        return False


def sign(seed, tag, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(tag.encode().ljust(32, b"\0") + message)


def ed25519_public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@memoised
def x25519(secret, public):
    """None where the other's key is of low order or not canonical."""
    if int.from_bytes(public, "little") >= P:
        return None
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return None


# XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): HChaCha20 gives the key of RFC 8439's construction

def hchacha20(key, nonce16):
    x = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce16))

    def mix(a, b, d, by):
        x[a] = (x[a] + x[b]) & 0xFFFFFFFF
        x[d] ^= x[a]
        x[d] = (x[d] << by | x[d] >> (32 - by)) & 0xFFFFFFFF

    for _ in range(10):
        for shift in (0, 1):  # columns, then diagonals
            for i in range(4):
                a, b, c, d = (4 * row + (i + shift * row) % 4 for row in range(4))
                mix(a, b, d, 16)
                mix(c, d, b, 12)
                mix(a, b, d, 8)
                mix(c, d, b, 7)
    return u32(*x[:4], *x[12:])


def xchacha_open(key, sealed, additional):
    """With the nonce of zeros; None where it does not open."""
    try:
        return ChaCha20Poly1305(hchacha20(key, bytes(16))).decrypt(bytes(12), sealed, additional)
    except InvalidTag:
        return None


def xchacha_seal(key, plain, additional):
    return ChaCha20Poly1305(hchacha20(key, bytes(16))).encrypt(bytes(12), plain, additional)


# ristretto255, in extended coordinates (X, Y, Z, T)

D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


def absolute(value):
    value %= P
    return P - value if value & 1 else value


def sqrt_ratio(u, v):
    """RFC 9496, 4.2: (was u/v square, its root or that of i u/v)."""
    r = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    check, u = v * r * r % P, u % P
    if check in (-u % P, -u * SQRT_M1 % P):
        r = r * SQRT_M1 % P
    return check in (u, -u % P), absolute(r)


INVSQRT_A_MINUS_D = sqrt_ratio(1, -1 - D)[1]


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * D * p[3] * q[3], 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    total = IDENTITY
    for bit in bin(scalar)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def equal(p, q):
    return (p[0] * q[1] - p[1] * q[0]) % P == 0 or (p[1] * q[1] - p[0] * q[0]) % P == 0


@memoised
def decode(encoding):
    """RFC 9496, 4.3.1; None for what is no canonical encoding."""
    s = int.from_bytes(encoding, "little")
    if s >= P or s & 1:
        return None
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    square, root = sqrt_ratio(1, v * u2 * u2 % P)
    x = absolute(2 * s * root * u2)
    y = u1 * root * root * u2 * v % P
    if not square or x * y % P & 1 or y == 0:
        return None
    return x, y, 1, x * y % P


def encode(point):
    """RFC 9496, 4.3.2."""
    x, y, z, t = point
    u1, u2 = (z + y) * (z - y) % P, x * y % P
    root = sqrt_ratio(1, u1 * u2 * u2 % P)[1]
    den1, den2 = root * u1 % P, root * u2 % P
    z_inverse = den1 * den2 * t % P
    den = den2
    if t * z_inverse % P & 1:
        x, y, den = y * SQRT_M1 % P, x * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    if x * z_inverse % P & 1:
        y = -y
    return absolute(den * (z - y)).to_bytes(32, "little")


def generator_powers():
    y = 4 * pow(5, P - 2, P) % P
    x = sqrt_ratio(y * y - 1, D * y * y + 1)[1]
    powers = [(x, y, 1, x * y % P)]
    while len(powers) < 253:
        powers.append(add(powers[-1], powers[-1]))
    return powers


POWERS = generator_powers()  # 2^k * G


@memoised
def of_generator(scalar):
    total = IDENTITY
    for k, power in enumerate(POWERS):
        if scalar >> k & 1:
            total = add(total, power)
    return total


def scalar_of(encoding):
    """None unless canonical."""
    scalar = int.from_bytes(encoding, "little")
    return scalar if scalar < L else None


@memoised
def agree(scalar, encoding):
    return encode(multiply(scalar, decode(encoding)))


@memoised
def committed(constant, commitments, place):
    """f(place + 1) * G from the encodings of A_0 and of A_1 .. A_(t-1)."""
    total = IDENTITY
    for encoding in reversed(commitments):
        total = multiply(place + 1, add(total, decode(encoding)))
    return add(total, decode(constant))


def interpolate(shares):
    """f(0) from {place: share}."""
    total = 0
    for j, share in shares.items():
        weight = 1
        for m in shares:
            if m != j:
                weight = weight * (m + 1) * pow(m - j, L - 2, L) % L
        total = (total + weight * share) % L
    return total


# Vectors

@memoised
def mask_lanes(key, lane_bytes, first, count):
    """Lanes [first, first + count) of one stream."""
    start = lane_bytes * first
    counter = (start // 16).to_bytes(16, "big")
    stream = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor().update(
        bytes(start % 16 + lane_bytes * count))[start % 16:]
    return [int.from_bytes(stream[lane_bytes * e:lane_bytes * (e + 1)], "little") for e in range(count)]


def packed_bytes(bits, count):
    return (bits * count + 7) // 8


def pack(bits, lanes):
    number = sum((lane % 2**bits) << (bits * e) for e, lane in enumerate(lanes))
    return number.to_bytes(packed_bytes(bits, len(lanes)), "little")


def unpack(bits, packed, count):
    """None unless there are exactly the bytes of count lanes, the rest of the last one 0."""
    number = int.from_bytes(packed, "little")
    if len(packed) != packed_bytes(bits, count) or number >> (bits * count):
        return None
    return [number >> (bits * e) & (2**bits - 1) for e in range(count)]
