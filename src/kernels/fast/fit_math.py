"""Fits the polynomials of math.inc.c (needs numpy, mpmath) and prints their coefficients, lowest power first.

Minimax fits of the relative error by Lawson's iteration: least squares whose weights grow where the error is large.
"""
import mpmath as mp
import numpy as np

mp.mp.dps = 40
Z_SLOPE = 0.35  # z = 1 / (1 + 0.35 t): of 0.2 .. 0.6 the smallest error that 9 coefficients reach


def nodes(low, high, n=2000):
    return low + (high - low) * (0.5 + 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n))


def lawson(basis, target, rounds=100):
    weight, best = np.ones(len(target)), (np.inf, None)
    for _ in range(rounds):
        s = np.sqrt(weight)
        c = np.linalg.lstsq(basis * s[:, None], target * s, rcond=None)[0]
        error = np.abs(basis @ c - target)
        best = min(best, (error.max(), c), key=lambda b: b[0])
        weight = weight * (error / error.max() + 1e-3)
        weight /= weight.sum()
    return best


def show(name, best):
    print(f"{name}: largest relative error {best[0]:.1e}")
    for c in best[1]:
        print(f"    {float(np.float32(c)).hex()}f, {np.float32(c)!s}")


# e^r = 1 + r + r^2 q(r), |r| <= ln(2) / 2
r = nodes(-float(mp.log(2)) / 2, float(mp.log(2)) / 2)
e = np.array([float(mp.exp(mp.mpf(x))) for x in r])
q = np.array([float((mp.exp(mp.mpf(x)) - 1 - mp.mpf(x))) for x in r])
show("exp, q", lawson(np.stack([r ** (k + 2) / e for k in range(5)], 1), q / e))

# Phi(-t) e^(t^2 / 2) = z p(z), 0 <= t <= 14.5: beyond, e^(-t^2 / 2) is zero in float
z = nodes(1 / (1 + Z_SLOPE * 14.5), 1)
t = (1 / z - 1) / Z_SLOPE
tail = np.array([float(mp.exp(mp.mpf(x) ** 2 / 2) * mp.erfc(mp.mpf(x) / mp.sqrt(2)) / 2) for x in t])
show("normal tail, p", lawson(np.stack([z ** (k + 1) / tail for k in range(9)], 1), np.ones_like(z)))

# tanh(x) = x + x^3 p(x^2), |x| <= 0.625: beyond, (1 - e^(-2 x)) / (1 + e^(-2 x)) does not cancel
x = nodes(0, 0.625)
y = np.array([float(mp.tanh(mp.mpf(v))) for v in x])
cubed = np.array([float(mp.tanh(mp.mpf(v)) - mp.mpf(v)) for v in x])
show("tanh, p", lawson(np.stack([x ** (2 * k + 3) / y for k in range(5)], 1), cubed / y))
