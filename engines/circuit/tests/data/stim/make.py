#!/usr/bin/env python3
"""Makes the reference data of this directory with stim (PyPI, 1.16): make.py DIRECTORY

gates.txt        the unitary of every gate: name, then real and imaginary parts row after row
surface.txt      for surface codes made by stim: distance, rounds, chance, basis, FNV-1a 64 of the circuit's text
                 without blank lines, and from so many shots at a fixed seed: shots, mean number of detectors that
                 fire, variance of it, shots in which the observable flips, shots without any detector
syndromes.txt    distance 3: how often each of the most frequent 200 sets of detectors came (as hexadecimal bits with
                 the observable on top) of 4 million shots
mixed.txt        for each circuit of mixed-*.stim: how often each result of its measurements came, of 200,000 shots
"""
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import stim

out = Path(sys.argv[1])


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def surface(d, rounds, p, basis):
    return stim.Circuit.generated(
        f"surface_code:rotated_memory_{basis}",
        distance=d,
        rounds=rounds,
        after_clifford_depolarization=p,
        after_reset_flip_probability=p,
        before_measure_flip_probability=p,
        before_round_data_depolarization=p,
    )


with open(out / "gates.txt", "w") as f:
    for name, gate in sorted(stim.gate_data().items()):
        if gate.is_unitary and not name.startswith("SPP"):
            cells = np.array(gate.unitary_matrix, dtype=complex).flatten()
            # They come in single precision.
            exact = np.array([0, 0.5, 0.5**0.5, 1, -0.5, -(0.5**0.5), -1])
            snap = lambda x: exact[np.argmin(abs(exact - x))]
            cells = [complex(snap(c.real), snap(c.imag)) for c in cells]
            f.write(name + "".join(f" {c.real:.17g},{c.imag:.17g}" for c in cells) + "\n")

with open(out / "surface.txt", "w") as f:
    for d in range(3, 26, 2):
        for basis in "zx":
            rounds, p = (d, 0.002) if basis == "z" else (2, 0.01)
            circuit = surface(d, rounds, p, basis)
            shots = 400_000 if d < 12 else 100_000
            detectors, observables = circuit.compile_detector_sampler(seed=d).sample(
                shots, separate_observables=True
            )
            fired = detectors.sum(axis=1)
            text = "".join(line + "\n" for line in str(circuit).split("\n") if line)
            f.write(
                f"{d} {rounds} {p} {basis} {fnv(text):016x} {shots} {fired.mean():.6f} {fired.var():.6f} "
                f"{observables.sum()} {(fired == 0).sum()}\n"
            )

with open(out / "syndromes.txt", "w") as f:
    circuit = surface(3, 2, 0.01, "z")
    counts = Counter()
    for seed in range(8):
        sampled = circuit.compile_detector_sampler(seed=seed).sample(500_000, append_observables=True)
        weights = 1 << np.arange(sampled.shape[1], dtype=np.uint64)
        values, times = np.unique((sampled * weights).sum(axis=1).astype(np.uint64), return_counts=True)
        for value, count in zip(values, times):
            counts[int(value)] += int(count)
    for value, count in counts.most_common(200):
        f.write(f"{value:x} {count}\n")

# Random circuits of every instruction on four qubits.
random.seed(5)
data = stim.gate_data()
with open(out / "mixed.txt", "w") as f:
    for number in range(12):
        lines = []
        for _ in range(40):
            name, gate = random.choice(sorted(data.items()))
            q = random.sample(range(4), 4)
            paulis = lambda n, join: join.join(random.choice("XYZ") + str(i) for i in q[:n])
            if name in ("MPP", "SPP", "SPP_DAG"):
                lines.append(f"{name} {random.choice(['', '!'])}{paulis(random.randint(1, 4), '*')}")
            elif name in ("E", "ELSE_CORRELATED_ERROR"):
                lines.append(f"E(0.3) {paulis(2, ' ')}")
                lines.append(f"ELSE_CORRELATED_ERROR(0.4) {paulis(3, ' ')}")
            elif name in ("PAULI_CHANNEL_1", "HERALDED_PAULI_CHANNEL_1"):
                chances = ", ".join(f"{random.random() / 4:.3f}" for _ in range(3 if name[0] == "P" else 4))
                lines.append(f"{name}({chances}) {q[0]}")
            elif name == "PAULI_CHANNEL_2":
                chances = ", ".join(f"{random.random() / 15:.3f}" for _ in range(15))
                lines.append(f"{name}({chances}) {q[0]} {q[1]}")
            elif name in ("MXX", "MYY", "MZZ"):
                lines.append(f"{name}(0.1) {q[0]} !{q[1]}")
            elif name in ("HERALDED_ERASE", "DEPOLARIZE1", "DEPOLARIZE2", "X_ERROR", "Y_ERROR", "Z_ERROR"):
                lines.append(f"{name}(0.2) {q[0]} {q[1]}")
            elif gate.produces_measurements and name != "MPAD":
                lines.append(f"{name}(0.05) !{q[0]}")
            elif name == "MPAD":
                lines.append("MPAD 0 1")
            elif gate.is_unitary and gate.is_two_qubit_gate:
                lines.append(f"{name} {q[0]} {q[1]} {q[2]} {q[3]}")
                if name in ("CX", "CY", "CZ") and any(l[0] == "M" for l in lines):
                    lines.append(f"{name} rec[-1] {q[2]}")
            elif gate.is_unitary or gate.is_reset:
                lines.append(f"{name} {q[0]}")
        # Few enough outcomes for statistics.
        keep, measured = [], 0
        for line in lines:
            new = stim.Circuit(line).num_measurements if "rec[" not in line else 0
            if measured + new <= 6:
                keep.append(line)
                measured += new
        for basis in "XYZ":
            keep.append(f"M{basis} {random.randrange(4)}")
        (out / f"mixed-{number}.stim").write_text("\n".join(keep) + "\n")
        circuit = stim.Circuit("\n".join(keep))
        sampled = circuit.compile_sampler(seed=number).sample(200_000)
        counts = Counter("".join("01"[int(b)] for b in row) for row in sampled)
        f.write(f"{number} " + " ".join(f"{k}:{v}" for k, v in sorted(counts.items())) + "\n")
