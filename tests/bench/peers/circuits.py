#!/usr/bin/env python3
"""Times a peer on a circuit: circuits.py PEER QUBITS THREADS f32|f64 ROUNDS < gates

Each line of standard input is a gate: its name, its angles, `|`, its qubits. Prints the median seconds and of how
many rounds it is: a first round of more than $LIMIT seconds is the last. $WARM_UP=0 leaves out the round that does
not count. What a peer does once for a circuit (its own objects, fusion that it does beforehand) is not timed, running it is.
"""
import os
import statistics
import sys
import time

peer, qubits, threads, precision, rounds = sys.argv[1], *map(int, sys.argv[2:4]), sys.argv[4], int(sys.argv[5])
# Before anything that starts threads is imported.
os.environ["OMP_NUM_THREADS"] = str(threads)
os.environ["OMP_PROC_BIND"] = "false"


def gates():
    for line in sys.stdin:
        left, right = line.split("|")
        name, *angles = left.split()
        yield name, [float(a) for a in angles], [int(q) for q in right.split()]


def lightning(module):
    import importlib

    ops = importlib.import_module(f"pennylane_lightning.{module}")
    state_class = ops.StateVectorC64 if precision == "f32" else ops.StateVectorC128
    names = {"h": "Hadamard", "ry": "RY", "cp": "ControlledPhaseShift", "cx": "CNOT", "swap": "SWAP", "u": "Rot"}
    calls = []
    for name, angles, on in gates():
        if name == "u":
            angles = [angles[2], angles[0], angles[1]]
        calls.append((names[name], [qubits - 1 - q for q in on], angles))

    def run():
        state = state_class(qubits)
        bound = {name: getattr(state, name) for name in names.values()}
        for name, wires, angles in calls:
            bound[name](wires, False, angles)

    return run


def aer():
    from qiskit import QuantumCircuit, transpile
    from qiskit_aer import AerSimulator

    circuit = QuantumCircuit(qubits)
    for name, angles, on in gates():
        getattr(circuit, name)(*angles, *on)
    circuit.save_amplitudes([0])
    simulator = AerSimulator(
        method="statevector",
        precision="single" if precision == "f32" else "double",
        max_parallel_threads=threads,
    )
    circuit = transpile(circuit, simulator, optimization_level=0)
    return lambda: simulator.run(circuit, shots=1).result()


def qulacs():
    import numpy
    import qulacs
    from qulacs.circuit import QuantumCircuitOptimizer

    if precision == "f32":
        sys.exit("qulacs has no single precision")
    circuit = qulacs.QuantumCircuit(qubits)
    for name, angles, on in gates():
        if name == "h":
            circuit.add_H_gate(*on)
        elif name == "ry":
            circuit.add_RY_gate(on[0], -angles[0])
        elif name == "u":
            circuit.add_U3_gate(on[0], *angles)
        elif name == "cx":
            circuit.add_CNOT_gate(*on)
        elif name == "swap":
            circuit.add_SWAP_gate(*on)
        else:
            phase = numpy.diag([1, numpy.exp(1j * angles[0])])
            gate = qulacs.gate.DenseMatrix(on[1], phase)
            gate.add_control_qubit(on[0], 1)
            circuit.add_gate(gate)
    if os.environ.get("QULACS_FUSE", "1") == "1":
        QuantumCircuitOptimizer().optimize_light(circuit)

    def run():
        circuit.update_quantum_state(qulacs.QuantumState(qubits))

    return run


def qsim():
    import cirq
    import qsimcirq

    if precision != "f32":
        sys.exit("qsim has no double precision")
    line = cirq.LineQubit.range(qubits)
    ops = []
    for name, angles, on in gates():
        on = [line[q] for q in on]
        if name == "h":
            ops.append(cirq.H(*on))
        elif name == "ry":
            ops.append(cirq.ry(angles[0])(*on))
        elif name == "u":
            ops += [cirq.rz(angles[2])(*on), cirq.ry(angles[0])(*on), cirq.rz(angles[1])(*on)]
        elif name == "cx":
            ops.append(cirq.CNOT(*on))
        elif name == "swap":
            ops.append(cirq.SWAP(*on))
        else:
            ops.append(cirq.CZPowGate(exponent=angles[0] / 3.141592653589793)(*on))
    circuit = cirq.Circuit(ops)
    simulator = qsimcirq.QSimSimulator(qsimcirq.QSimOptions(max_fused_gate_size=4, cpu_threads=threads))
    return lambda: simulator.compute_amplitudes(circuit, [0], qubit_order=line)


def stim():
    import stim as library

    circuit = library.Circuit()
    names = {"h": "H", "s": "S", "sx": "SQRT_X", "y": "Y", "cx": "CX"}
    for name, _, on in gates():
        circuit.append(names[name], on)
    circuit.append("M", range(qubits))
    return lambda: circuit.compile_sampler(seed=1).sample(1000)


def stim_detect(shots):
    import stim as library

    sampler = library.Circuit(sys.stdin.read()).compile_detector_sampler(seed=1)
    return lambda: sampler.sample(shots, bit_packed=True, separate_observables=True)


def stim_command(shots):
    """Stim's command line, as its wheel has it: inside Python, from a file, packed bits to nowhere."""
    import atexit
    import tempfile

    import stim as library

    file = tempfile.NamedTemporaryFile("w", suffix=".stim")
    atexit.register(file.close)
    file.write(sys.stdin.read())
    file.flush()
    options = ["detect", "--shots", str(shots), "--in", file.name, "--out", "/dev/null", "--out_format", "b8"]

    def run():
        if library.main(command_line_args=[*options, "--append_observables", "--seed", "1"]) != 0:
            sys.exit("stim failed")

    return run


def aer_mps():
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator

    circuit = QuantumCircuit(qubits)
    for name, angles, on in gates():
        getattr(circuit, name)(*angles, *on)
    circuit.save_amplitudes([0])
    simulator = AerSimulator(
        method="matrix_product_state",
        max_parallel_threads=threads,
        matrix_product_state_max_bond_dimension=int(os.environ["BOND"]),
        mps_lapack=True,
    )
    return lambda: simulator.run(circuit, shots=1).result()


def quimb():
    import quimb.tensor as tensor

    listed = list(gates())

    def run():
        circuit = tensor.CircuitMPS(qubits, max_bond=int(os.environ["BOND"]), cutoff=1e-14)
        for name, angles, on in listed:
            circuit.apply_gate(name.upper(), *angles, *on)
        circuit.amplitude("0" * qubits)

    return run


run = {
    "aer-mps": aer_mps,
    "quimb": quimb,
    "stim-detect-100000": lambda: stim_detect(100_000),
    "stim-detect-10000": lambda: stim_detect(10_000),
    "stim-command-100000": lambda: stim_command(100_000),
    "stim-command-10000": lambda: stim_command(10_000),
    "lightning-kokkos": lambda: lightning("lightning_kokkos_ops"),
    "lightning": lambda: lightning("lightning_qubit_ops"),
    "aer": aer,
    "qulacs": qulacs,
    "qsim": qsim,
    "stim": stim,
}[peer]()
limit = float(os.environ.get("LIMIT") or "inf")
times = []
for _ in range(rounds + (os.environ.get("WARM_UP", "1") == "1")):
    start = time.perf_counter()
    run()
    times.append(time.perf_counter() - start)
    if times[0] > limit:
        break
else:
    # The first, if there are more than asked for, warmed up.
    times = times[-rounds:]
print(statistics.median(times), len(times))
