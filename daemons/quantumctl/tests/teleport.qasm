OPENQASM 3.0;
include "stdgates.inc";
// A rotated qubit goes from q[0] to q[2].
qubit[3] q;
bit[2] m;
bit r;
ry(pi / 3) q[0];
h q[1];
cx q[1], q[2];
cx q[0], q[1];
h q[0];
m = measure q[0:1];
if (m[1]) x q[2];
if (m[0]) z q[2];
r = measure q[2];
